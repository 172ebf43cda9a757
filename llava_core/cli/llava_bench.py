"""Commands on LLaVA-Bench: let a judge review answers, score reviews [edge]."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from llava_core.cli.chat_model import (
    BudgetCost,
    BudgetTokens,
    Concurrency,
    Endpoint,
    Local,
    Model,
    PriceIn,
    PriceOut,
    open_backend,
    open_budget,
    tell_estimate,
)
from llava_core.cli.terminal import Device, Dtype, Limit, Seed, bar, bench, claim_file, done, resumable
from llava_core.errors import InputError
from llava_core.folders import write_whole

if TYPE_CHECKING:
    from llava_core.evaluation.llava_bench.judge import Tally
    from llava_core.evaluation.llava_bench.tables import Table

CACHE_SUFFIX = ".replies.sqlite"
"""Of the file beside the reviews; another --out has another, and so another run of the judge."""


@bench.command(
    epilog="Example: llava bench judge --questions questions.jsonl --contexts contexts.jsonl "
    "--references gpt4.jsonl --answers answers.jsonl --model gpt-4o --out reviews.jsonl\n\n"
    "The same command again goes on where it was, and asks nothing twice."
)
def judge(
    context: typer.Context,
    questions: Annotated[Path, typer.Option(help="Lines of question_id, image, text, category.")],
    contexts: Annotated[
        Path, typer.Option(help="Lines of image with captions and instances (COCO) or caption.")
    ],
    references: Annotated[Path, typer.Option(help="Reference answers: lines of question_id, text.")],
    answers: Annotated[
        Path, typer.Option(help="Answers to judge: the same, or what llava answer --questions writes.")
    ],
    out: Annotated[Path, typer.Option(help="File of reviews, .jsonl; its replies are kept beside it.")],
    model: Model = None,
    endpoint: Endpoint = None,
    local: Local = None,
    swap: Annotated[
        bool, typer.Option("--swap", help="Judge each pair in both orders, to show the judge's bias.")
    ] = False,
    temperature: Annotated[
        float, typer.Option(help="0.2 as published; some newer models take 1 only.", min=0.0)
    ] = 0.2,
    concurrency: Concurrency = 8,
    budget_tokens: BudgetTokens = None,
    budget_cost: BudgetCost = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    device: Device = None,
    dtype: Dtype = None,
    limit: Limit = None,
) -> None:
    """Let a language model grade answers beside reference answers.

    The protocol is the published one, the wording is ours.
    """
    from llava_core.backends.cache import ReplyCache
    from llava_core.evaluation.llava_bench.judge import plan_run, run_judge
    from llava_core.evaluation.llava_bench.questions import comparisons, read_bench_questions

    if out.suffix != ".jsonl":
        raise InputError(f"got {out.name!r}, allowed is a file of type .jsonl", field="out")
    asked = read_bench_questions(questions)
    compared = comparisons(asked[:limit], contexts=contexts, references=references, candidates=answers)
    budget = open_budget(tokens=budget_tokens, cost=budget_cost, price_in=price_in, price_out=price_out)
    backend = open_backend(model=model, endpoint=endpoint, local=local, device=device, dtype=dtype)
    out = claim_file(context, out, inputs=[questions, contexts, references, answers])
    plan = plan_run(backend, compared, out, n_questions=len(asked), swap=swap, temperature=temperature)
    with ReplyCache(out.with_suffix(CACHE_SUFFIX)) as cache:
        tell_estimate(backend, [task.request for task in plan.left], cache, budget)
        with resumable(), bar("judge", hidden=not plan.left) as tick:
            tally = run_judge(
                backend, plan, cache=cache, budget=budget, concurrency=concurrency, progress=tick
            )
    _tell(tally, len(plan.kept))
    done(out)
    if tally.n_failed or tally.n_unasked:
        raise typer.Exit(1)


@bench.command(
    epilog="Example: llava bench score reviews-1.jsonl reviews-2.jsonl --questions questions.jsonl\n\n"
    "The relative score is the figure that papers report: 100 x the candidate's mean / the reference's."
)
def score(
    context: typer.Context,
    reviews: Annotated[
        list[Path], typer.Argument(help="Files of reviews, ours or published; runs of one judge together.")
    ],
    questions: Annotated[
        Path | None, typer.Option(help="File of questions, to resample whole images for the intervals.")
    ] = None,
    failures_as_minus_one: Annotated[
        bool,
        typer.Option(
            "--failures-as-minus-one", help="Keep unreadable scores as -1 in the means, as was published."
        ),
    ] = False,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write it, too: .json, or .md for the tables.")] = None,
) -> None:
    """Score reviews: per category and overall, with intervals."""
    import json

    from llava_core.evaluation.llava_bench.questions import read_bench_questions
    from llava_core.evaluation.llava_bench.reviews import read_reviews
    from llava_core.evaluation.llava_bench.summary import summarise
    from llava_core.evaluation.llava_bench.tables import as_markdown, tables

    if out is not None and out.suffix not in (".json", ".md"):
        raise InputError(f"got {out.name!r}, allowed are files of type .json and .md", field="out")
    if out is not None:
        place = claim_file(context, out, inputs=[*reviews, questions])
    repeated = [path for path in reviews if reviews.count(path) > 1]
    if repeated:
        raise InputError("got this file twice, allowed is once", path=repeated[0])
    clusters = None
    if questions is not None:
        clusters = {str(each.id): each.image for each in read_bench_questions(questions)}
    summary = summarise(
        {path: read_reviews(path) for path in reviews},
        clusters,
        failures_as_minus_one=failures_as_minus_one,
        seed=seed,
    )
    told = json.dumps(summary, indent=2) + "\n"
    shown = tables(summary)
    if as_json:
        typer.echo(told, nl=False)
    else:
        _show(shown)
    if out is not None:
        write_whole(place, told if out.suffix == ".json" else as_markdown(shown))
        typer.echo(f"written: {out}", err=as_json)


def _tell(tally: "Tally", n_kept: int) -> None:
    typer.echo(
        f"{tally.n_reviews} reviews, {n_kept} of them there already; "
        f"{tally.n_malformed} without scores, kept with their text",
        err=True,
    )
    if tally.n_failed:
        typer.echo(
            f"{tally.n_failed} requests got no reply ({tally.problem}); the same command asks them again",
            err=True,
        )
    if tally.n_unasked:
        typer.echo(
            f"{tally.n_unasked} requests were not asked: the budget does not cover them; "
            "the same command with a larger one goes on",
            err=True,
        )


def _show(shown: Sequence["Table"]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    for table in shown:
        console.print(Text(table.title, style="bold"))
        drawn = RichTable(box=SIMPLE, pad_edge=False)
        for place, name in enumerate(table.header):
            drawn.add_column(name, justify="left" if place == 0 else "right", no_wrap=place > 0)
        for row in table.rows:
            drawn.add_row(*map(Text, row))
        console.print(drawn)
        for note in table.notes:
            console.print(Text(note))
        console.print()
