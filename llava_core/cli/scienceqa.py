"""`llava bench scienceqa`: the nine columns of answer files, beside the published rows [edge]."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from llava_core.cli.terminal import Data, Part, Seed, bench, claim_file, done, no_part, read_data
from llava_core.errors import InputError
from llava_core.folders import write_whole


@bench.command(
    epilog="Example: llava bench scienceqa --data SCIENCEQA --answers answers.jsonl\n\n"
    "Several files, as LLaVA scored before October 2023: llava bench scienceqa "
    "--data SCIENCEQA --answers a.json --answers b.json --lenient"
)
def scienceqa(
    context: typer.Context,
    data: Data,
    answers: Annotated[
        list[Path],
        typer.Option(
            help="File of answers, repeatable: results and outputs, free-form responses, or JSON lines of "
            "llava answer or LLaVA."
        ),
    ],
    part: Part = "test",
    lenient: Annotated[
        bool, typer.Option("--lenient", help='Only "The answer is X." counts; else a random choice.')
    ] = False,
    seed: Seed = 0,
    topics: Annotated[bool, typer.Option("--topics", help="Accuracy on each topic, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write the JSON to as well.")] = None,
) -> None:
    """Score answers to ScienceQA: NAT SOC LAN TXT IMG NO G1-6 G7-12 Avg.

    A question that is not answered, or whose answer does not parse, counts as wrong. Where a file stores
    other indices than its texts give, they get a line of their own.
    """
    from llava_core.evaluation.answers import read_answers
    from llava_core.evaluation.score_table import score_data, score_lines
    from llava_core.evaluation.scoring import score

    if out is not None:
        out = claim_file(context, out, inputs=[data, *answers])
    dataset = read_data(data)
    examples = dataset.split(part) if dataset.splits else dataset.examples
    if not examples:
        raise no_part(part, dataset.splits, data)
    if all(example.answer is None for example in examples):
        raise InputError("holds no question with a known answer", path=data, field="answer")
    rule: Literal["strict", "lenient"] = "lenient" if lenient else "strict"
    scores = []
    for path in answers:
        read = read_answers(path, dataset, part=part)
        scores.append(score(read, examples, rule=rule, seed=seed))
        if not lenient and read.n_guessed:
            scores.append(score(read, examples, rule="stored"))
    told = {"data": dataset.name, "fingerprint": dataset.fingerprint, "part": part, "seed": seed}
    text = json.dumps({**told, **score_data(scores)}, indent=1)
    if as_json:
        typer.echo(text)
    else:
        typer.echo("\n".join(score_lines(scores, with_topics=topics)))
    if out is not None:
        write_whole(out, text + "\n")
        if not as_json:
            done(out)
