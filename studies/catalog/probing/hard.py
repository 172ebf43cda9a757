"""Which items are hard: the bits of a label that a probe can use, item by item (pointwise V-information).

An item's bits are those at the stage where it has most: what no stage gives, the vectors do not hold, or the
probe cannot read. The maximum over stages is a generous reading, so a negative figure means something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llava_core.data.example import Example
from studies import stats
from studies.catalog.probing.material import Material
from studies.catalog.probing.probed import Probed
from studies.probing import ChoiceTask, usable_bits

SHOWN = 12
LEAST_IN_SLICE = 20
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
JUDGE = "linear"


def hard_items(
    probed: Probed, material: Material, *, probes: Sequence[str], run_path: Path, draws: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the hardest test items of a target and how bits spread; None where every cell failed.

    Parameters
    ----------
    probed : Probed
    material : Material
    probes : sequence of str
        Families that were fitted; the linear one judges where it is among them.
    run_path : Path
        Images are told relative to it.
    draws : mapping
        Level, resamples and seed of the intervals.
    """
    ground = probed.ground
    judge = JUDGE if JUDGE in probes else probes[0]
    names = [info.name for info in ground.stages if probed.cell(info.name, judge).is_ok]
    if not names:
        return None
    bits = np.stack([item_bits(probed, name, judge) for name in names], axis=1)
    best = bits.max(axis=1)
    items = ground.items[ground.test]
    order = np.lexsort((np.arange(len(best)), best))[:SHOWN]
    return {
        "probe": judge,
        "stages": names,
        "n": len(best),
        "quantiles": {f"{q:g}": float(np.quantile(best, q)) for q in QUANTILES},
        "fraction_negative": float((best < 0).mean()),
        "items": [
            {
                **_told(material, int(items[place]), run_path),
                "label": _label(probed, int(ground.test[place])),
                "bits": {name: float(bits[place, column]) for column, name in enumerate(names)},
            }
            for place in order
        ],
        "by_slice": _by_slice(material, items, best, ground.families[ground.test], draws),
    }


def item_bits(probed: Probed, stage: str, probe: str) -> NDArray[np.float64]:
    """Return the usable bits of each test item, (n_test,)."""
    ground = probed.ground
    log_prob = probed.cell(stage, probe).arrays["log_prob"]
    return usable_bits(log_prob, probed.task, train=ground.train, test=ground.test)


def _told(material: Material, item: int, run_path: Path) -> dict[str, Any]:
    """Return what the page shows of an item; of rows without texts the id."""
    told: dict[str, Any] = {"example_id": str(material.ids[item])}
    if not material.examples:
        return {**told, "question": None, "options": None, "answer": None, "image": None}
    example = material.examples[item]
    return {
        **told,
        "question": example.question,
        "options": list(example.options),
        "answer": example.answer,
        "image": _image(example, run_path),
    }


def _image(example: Example, run_path: Path) -> str | None:
    if example.image is None:
        return None
    image, root = example.image.resolve(), run_path.resolve()
    return str(image.relative_to(root)) if image.is_relative_to(root) else str(image)


def _label(probed: Probed, item: int) -> str:
    task = probed.task
    if isinstance(task, ChoiceTask):
        return str(task.option[task.is_right][item])
    return str(task.labels[item])


def _by_slice(
    material: Material,
    items: NDArray[np.intp],
    best: NDArray[np.float64],
    families: NDArray[np.int64],
    draws: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return the mean bits of each kind of question that is there often enough."""
    if not material.examples:
        return []
    examples = [material.examples[item] for item in items]
    slices = {
        "subject": [example.subject for example in examples],
        "topic": [example.topic for example in examples],
        "grade": [example.grade for example in examples],
        "n_options": [str(len(example.options)) for example in examples],
    }
    rows = []
    for name, values in slices.items():
        for value in sorted({value for value in values if value}):
            here = np.array([each == value for each in values])
            if here.sum() >= LEAST_IN_SLICE:
                rows.append(
                    {
                        "slice": name,
                        "value": value,
                        "n": int(here.sum()),
                        "bits": asdict(stats.mean_estimate(best[here], families[here], **draws)),
                    }
                )
    return rows
