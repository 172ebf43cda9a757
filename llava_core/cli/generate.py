"""The command that lets a language model write instruction data: generate [edge]."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llava_core.cli.chat_model import (
    BudgetCost,
    BudgetTokens,
    Concurrency,
    Endpoint,
    Local,
    Model,
    PriceIn,
    PriceOut,
    Tries,
    open_backend,
    open_budget,
    tell_estimate,
)
from llava_core.cli.terminal import Device, Dtype, Seed, app, bar, claim, resumable
from llava_core.errors import InputError

if TYPE_CHECKING:
    from llava_core.backends.cache import ReplyCache
    from llava_core.instructions.scene_files import SceneSet

Progress = Callable[[int, int], None]


@app.command(epilog="Example: llava generate --scenes s.jsonl --per-kind 100 --model M --out data")
def generate(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder to write; a later run goes on with it.")],
    captions: Annotated[Path | None, typer.Option(help="COCO's captions_*.json.")] = None,
    instances: Annotated[
        Path | None, typer.Option(help="COCO's instances_*.json of the same images.")
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="In place of COCO: JSON lines of id, image, captions, instances.")
    ] = None,
    kinds: Annotated[str, typer.Option(help="Kinds, with commas between.")] = "conversation,detail,reasoning",
    per_kind: Annotated[
        int | None, typer.Option(help="Images asked about per kind; all if not given.", min=1)
    ] = None,
    draw: Annotated[
        Literal["independent", "same", "apart"],
        typer.Option(help="Images of the kinds: drawn for each, the same, or none used twice."),
    ] = "independent",
    crowds: Annotated[bool, typer.Option(help="Tell COCO's boxes around crowds, too.")] = True,
    max_boxes: Annotated[
        int | None, typer.Option(help="Boxes told per image, the largest; all if not given.", min=1)
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="Prompts of your own, laid out as LLaVA's.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images, for the page of samples.")
    ] = None,
    model: Model = None,
    endpoint: Endpoint = None,
    local: Local = None,
    device: Device = None,
    dtype: Dtype = None,
    temperature: Annotated[float, typer.Option(help="Above 0, so that a second try differs.", min=0.0)] = 0.7,
    max_tokens: Annotated[int, typer.Option(help="Longest reply, tokens.", min=1)] = 1024,
    tries: Tries = 3,
    concurrency: Concurrency = 8,
    budget_tokens: BudgetTokens = None,
    budget_cost: BudgetCost = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate the cost and stop.")] = False,
    seed: Seed = 0,
) -> None:
    """Let a language model write instruction data from captions and boxes."""
    from llava_core.backends.asking import ask_all
    from llava_core.folders import check_replaceable
    from llava_core.instructions import write
    from llava_core.instructions.asking import Asking, read_reply, request_for, wanted_records
    from llava_core.instructions.kinds import chosen_kinds
    from llava_core.instructions.prompts import fingerprint, load_prompts
    from llava_core.instructions.records import choose_scenes
    from llava_core.instructions.sample_page import write_page

    asking = Asking(
        seed=seed, draw=draw, max_boxes=max_boxes, temperature=temperature, max_reply_tokens=max_tokens
    )
    chosen = chosen_kinds(kinds.split(","))
    prompted = load_prompts(chosen, prompts)
    budget = open_budget(tokens=budget_tokens, cost=budget_cost, price_in=price_in, price_out=price_out)
    if images is not None and not images.is_dir():
        raise InputError("no such folder of images", path=images)
    check_replaceable(out, marks=write.MARKS)
    if not dry_run:
        claim(context, out)
    backend = open_backend(model=model, endpoint=endpoint, local=local, device=device, dtype=dtype, seed=seed)
    with bar("read scenes") as tick:
        found = _scenes(captions, instances, scenes, crowds, tick)
    _tell_counted(found.counted)
    indexes = choose_scenes(len(found.scenes), [kind.name for kind in chosen], per_kind, seed=seed, draw=draw)
    wanted = wanted_records(chosen, indexes)
    requests = [request_for(each, found.scenes, prompted, asking) for each in wanted]
    with _cache(out / write.CACHE, dry_run) as cache:
        tell_estimate(backend, requests, cache, budget)
        if dry_run:
            return
        with resumable(), bar("ask") as tick:
            outcomes = ask_all(
                backend,
                requests,
                read_reply,
                cache=cache,
                budget=budget,
                n_tries=tries,
                concurrency=concurrency,
                progress=tick,
            )
            results = write.write_records(
                out, wanted, outcomes, scenes=found.scenes, prompts=prompted, seed=seed
            )
        spent = cache.spent
    summary: dict[str, Any] = {
        "schema": 1,
        "backend": backend.name,
        "asking": asdict(asking) | {"tries": tries, "prompts_sha256": fingerprint(prompted)},
        "n_scenes": len(found.scenes),
        "scenes_counted": dict(found.counted),
        "kinds": {name: result.told() for name, result in results.kinds.items()},
        "spent": asdict(spent),
    }
    if budget.prices is not None:
        summary["spent"]["cost"] = spent.cost(budget.prices)
    write_page(out / write.PAGE, summary, results, images=images)
    write.write_summary(out, summary)
    _tell(summary, out, tries)
    if any(kind["failed"] or kind["unasked"] for kind in summary["kinds"].values()):
        raise typer.Exit(1)


def _scenes(
    captions: Path | None, instances: Path | None, scenes: Path | None, crowds: bool, tick: Progress
) -> "SceneSet":
    from llava_core.instructions.scene_files import read_coco, read_scene_lines

    if (captions is None) == (scenes is None):
        raise InputError("got both or none of --captions and --scenes, allowed is one", field="scenes")
    if captions is not None:
        return read_coco(captions, instances, crowds=crowds, progress=tick)
    assert scenes is not None
    if instances is not None:
        raise InputError("got --instances beside --scenes, which holds boxes itself", field="instances")
    return read_scene_lines(scenes, progress=tick)


def _cache(path: Path, dry_run: bool) -> "ReplyCache":
    """Open the cache of replies; a dry run makes none."""
    from llava_core.backends.cache import ReplyCache

    return ReplyCache(None if dry_run and not path.is_file() else path)


def _tell_counted(counted: Mapping[str, int]) -> None:
    for what, n in counted.items():
        typer.echo(f"{n:,} {what}", err=True)


def _tell(summary: Mapping[str, Any], out: Path, tries: int) -> None:
    """Print what came of the run, and how to go on where something is missing."""
    from llava_core.instructions import told

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in summary["kinds"]:
        table.add_column(name, justify="right")
    for what, values in told.figures(summary):
        table.add_row(what, *values)
    console.print(table)
    words = Table.grid(padding=(0, 2, 0, 0))
    for name, what, found in told.frequent(summary):
        words.add_row(f"{name}, {what}", Text(found))
    for name, why in told.reasons(summary):
        words.add_row(f"{name}, set aside", Text(why))
    console.print()
    console.print(words)
    total = {
        name: sum(kind[name] for kind in summary["kinds"].values())
        for name in ("read", "malformed", "failed", "unasked")
    }
    console.print()
    if total["unasked"]:
        console.print(
            f"{total['unasked']:,} unasked, as the budget is used up; the same command with a larger budget "
            "goes on from here."
        )
    if total["failed"]:
        them = "it" if total["failed"] == 1 else "them"
        console.print(f"{total['failed']:,} got no reply; the same command asks for {them} again.")
    if total["malformed"]:
        often = "1 try" if tries == 1 else f"{tries} tries"
        console.print(
            f"{total['malformed']:,} set aside after {often}, with their texts in set_aside.jsonl; a larger "
            "--tries asks for them again."
        )
    typer.echo(f"written: {out} ({total['read']:,} records; samples.html shows some)")
