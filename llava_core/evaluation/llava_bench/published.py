"""Published relative scores of LLaVA-Bench, to stand beside one's own.

All were judged by gpt-4-0314 under the published wording, which is not ours: a figure under another judge
or wording cannot be compared with them, and even one judge gives one candidate figures a point apart. The
rows of the paper are quoted from memory and were not checked against it; those of the repository were
read there.
"""

from dataclasses import dataclass
from typing import Literal

PAPER = "Liu et al. 2023, Visual Instruction Tuning (quoted, not checked)"
REPOSITORY = "LLaVA repository, docs"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """What was published of one model."""

    name: str
    scores: tuple[float | None, float | None, float | None, float]
    """Relative scores in percent: conv, detail, complex, all; None where only the last was published."""
    spreads: tuple[float, float, float, float] | None = None
    """Standard deviations over three runs of the judge, where they were published."""
    source: str


def _row(
    name: str,
    source: str,
    *scores: *tuple[float | None, float | None, float | None, float],
    spreads: tuple[float, float, float, float] | None = None,
) -> PublishedRow:
    return PublishedRow(name=name, scores=scores, spreads=spreads, source=source)


PUBLISHED: dict[Literal["coco", "wild"], tuple[PublishedRow, ...]] = {
    "coco": (
        _row("LLaVA-13B, all data", PAPER, 83.1, 75.3, 96.5, 85.1),
        _row("detail + complex only", PAPER, 81.5, 73.3, 90.8, 81.9),
        _row("conv + 5% detail + 10% complex", PAPER, 81.0, 68.4, 91.5, 80.5),
        _row("conv only", PAPER, 76.5, 59.8, 84.9, 73.8),
        _row("no instruction tuning", PAPER, 22.0, 24.0, 18.5, 21.5),
    ),
    "wild": (
        _row("OpenFlamingo", PAPER, 19.3, 19.0, 19.1, 19.1, spreads=(0.5, 0.5, 0.7, 0.4)),
        _row("BLIP-2", PAPER, 54.6, 29.1, 32.9, 38.1, spreads=(1.4, 1.2, 0.7, 1.0)),
        _row("LLaVA", PAPER, 57.3, 52.5, 81.7, 67.3, spreads=(1.9, 6.3, 1.8, 2.0)),
        _row("LLaVA-13B-336, beam 1", REPOSITORY, 64.3, 55.9, 81.7, 70.1),
        _row("LLaVA-13B-336, beam 5", REPOSITORY, 68.4, 59.9, 84.3, 73.5),
        _row("LLaVA-1.5-7B", REPOSITORY, None, None, None, 65.4),
        _row("LLaVA-1.5-13B", REPOSITORY, None, None, None, 72.5),
        _row("LLaVA-1.6-7B", REPOSITORY, None, None, None, 81.6),
        _row("LLaVA-1.6-13B", REPOSITORY, None, None, None, 87.3),
        _row("LLaVA-1.6-34B", REPOSITORY, None, None, None, 89.6),
        _row("Bard-0718", REPOSITORY, 83.7, 69.7, 78.7, 77.8),
        _row("Bing-0629", REPOSITORY, 59.6, 52.2, 90.1, 71.5),
    ),
}
"""By set; the paper's COCO rows are LLaVA-13B trained on parts of its data."""
