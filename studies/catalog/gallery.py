"""Questions that the ensemble wins from the LLM and loses to it, for the report: pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llava_core.data.example import Example
from studies.catalog.scoring import Scorer
from studies.catalog.verdict import spoken_of

SHOWN_EXAMPLES = 24
"""Questions won, and as many lost, that are kept."""
Facts = Mapping[str, Any]


def gallery(
    methods: Sequence[Facts], scorer: Scorer, against: str | None, chosen: str | None, run_path: Path
) -> dict[str, list[dict[str, Any]]]:
    """Questions that the ensemble spoken of wins from the LLM and loses to it, image questions first."""
    told = spoken_of(methods, chosen)
    if against is None or told is None:
        return {"won": [], "lost": []}
    best = told["name"]
    ours, theirs = scorer.scores(best).credit, scorer.scores(against).credit
    picks = {name: _picks(scorer, name) for name in (best, against)}
    order = sorted(range(len(ours)), key=lambda i: (not scorer.examples[i].image, i))
    shown = {
        "won": [i for i in order if ours[i] > theirs[i]][:SHOWN_EXAMPLES],
        "lost": [i for i in order if ours[i] < theirs[i]][:SHOWN_EXAMPLES],
    }
    return {
        side: [
            {
                "example_id": example.id,
                "question": example.question,
                "options": list(example.options),
                "answer": example.answer,
                "chosen": picks[best].get(example.id, -1),
                "rival_chosen": picks[against].get(example.id, -1),
                "method": best,
                "rival": against,
                "image_path": _image_path(example, run_path),
                "skill": example.skill,
            }
            for example in (scorer.examples[i] for i in places)
        ]
        for side, places in shown.items()
    }


def _picks(scorer: Scorer, method: str) -> dict[str, int]:
    """Return the first of the options with the largest share of the choice, by question."""
    frame = scorer.predictions[(scorer.predictions["method"] == method) & (scorer.predictions["chosen"] > 0)]
    best = frame.sort_values(["chosen", "option_index"], ascending=[False, True]).drop_duplicates(
        "example_id"
    )
    return dict(zip(best["example_id"].tolist(), best["option_index"].tolist(), strict=True))


def _image_path(example: Example, run_path: Path) -> str | None:
    if example.image is None:
        return None
    image, root = example.image.resolve(), run_path.resolve()
    return str(image.relative_to(root)) if image.is_relative_to(root) else str(image)
