"""The concept filter as a command [edge]."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from llava_core.cli.terminal import Seed, Tick, app, bar, claim, done, resumable

Column = Annotated[str | None, typer.Option(help="Column or field of it; taken where there is one.")]


@app.command(
    "filter",
    epilog="Example: llava filter --captions cc3m.tsv --out cc3m-filtered\n\n"
    "With records for stage 1: llava filter --captions cc3m.tsv --out cc3m-filtered --records "
    '--image-names "{row:09d}.jpg"',
)
def filter_(
    context: typer.Context,
    captions: Annotated[
        list[Path],
        typer.Option(help="TSV (caption, URL; or with a header), JSONL or parquet. Repeatable."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the result.")],
    min_count: Annotated[int, typer.Option(help="Drop phrases in fewer captions.", min=1)] = 3,
    max_per_phrase: Annotated[
        int, typer.Option(help="Of a phrase in more captions, draw so many.", min=1)
    ] = 100,
    seed: Seed = 0,
    finder: Annotated[
        str, typer.Option(help="Who finds noun phrases: rules, or spacy:MODEL if that is installed.")
    ] = "rules",
    pooled: Annotated[
        Literal["ignored", "counted"],
        typer.Option(
            help="ignored: draw from all captions of a phrase, as LLaVA's text has it. counted: captions "
            "that are in the pool already count, so draw only what is missing."
        ),
    ] = "ignored",
    order: Annotated[
        Literal["initial", "remaining"],
        typer.Option(
            help="Walk by frequency in the whole file, as LLaVA's text has it, or by what is not in the "
            "pool yet."
        ),
    ] = "initial",
    ties: Annotated[
        Literal["alphabet", "seeded"],
        typer.Option(help="Order among equally frequent phrases; alphabet can be followed by hand."),
    ] = "alphabet",
    duplicates: Annotated[
        Literal["keep", "drop"],
        typer.Option(
            help="keep: two pictures with one caption are two pairs. drop: the first stands for all."
        ),
    ] = "keep",
    keep_case: Annotated[
        bool, typer.Option("--keep-case", help="Tell Turkey from turkey; most captions cannot.")
    ] = False,
    keep_articles: Annotated[
        bool,
        typer.Option("--keep-articles", help="Tell a dog from the dog: one concept then has two quotas."),
    ] = False,
    singular: Annotated[
        bool, typer.Option("--singular", help="Count dogs as dog; off, since many look different from one.")
    ] = False,
    caption_column: Annotated[str, typer.Option(help="Column or field of the caption.")] = "caption",
    id_column: Column = None,
    image_column: Column = None,
    url_column: Column = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count bad records and go on; else the first ends the run.")
    ] = False,
    records: Annotated[
        bool, typer.Option("--records", help="Write chat.json too: records for llava align --chat.")
    ] = False,
    image_names: Annotated[
        str | None,
        typer.Option(help="Images of the records, where no column has them: a pattern with {row} or {id}."),
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes that look for phrases.", min=1)] = 2,
) -> None:
    """Keep captions that cover all noun phrases evenly: LLaVA's filter of CC3M to 595,000 pairs.

    Phrases are counted over all captions, and walked from the rarest one on; all captions of a phrase
    are kept, or of a frequent one a uniform draw. A killed run goes on where it was.
    """
    from llava_core.concepts.captions import Columns
    from llava_core.concepts.filter import FilterConfig, filter_captions
    from llava_core.concepts.phrases import PhraseForm
    from llava_core.concepts.scan import ScanConfig
    from llava_core.concepts.walk import WalkConfig

    config = FilterConfig(
        scan=ScanConfig(
            columns=Columns(caption=caption_column, id=id_column, image=image_column, url=url_column),
            finder=finder,
            form=PhraseForm(keep_case=keep_case, keep_articles=keep_articles, singular=singular),
            pass_over_bad=skip_bad,
        ),
        walk=WalkConfig(max_per_phrase=max_per_phrase, pooled=pooled, order=order, seed=seed),
        min_count=min_count,
        ties=ties,
        duplicates=duplicates,
        records=records,
        image_names=image_names,
    )
    claim(context, out)
    with resumable(), _bars() as steps:
        told = filter_captions(captions, out, config, n_processes=processes, steps=steps)
    typer.echo(
        f"{told['n_kept']} of {told['n_captions']} captions ({told['kept_frac']:.1%}) cover all "
        f"{told['n_phrases_frequent']} phrases that stand in {min_count} or more"
    )
    if told["n_bad_records"]:
        typer.echo(f"{told['n_bad_records']} bad records passed over, the first: {told['bad_records'][0]}")
    done(out)


@contextmanager
def _bars() -> Iterator[Callable[[str], Tick]]:
    """Show one bar after the other; a step ends where the next one begins."""
    with ExitStack() as stack:

        def begin(title: str) -> Tick:
            stack.close()
            return stack.enter_context(bar(title))

        yield begin
