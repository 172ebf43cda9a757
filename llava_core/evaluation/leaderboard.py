"""Published accuracies on ScienceQA's test part, to stand beside one's own.

Nobody computes them here: they are quoted. Every row of a model is a whole number of right answers in each
of its columns, and subjects, grades and contexts add up to the same total; the human row is another sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass

N_TEST: Mapping[str, int] = {
    "NAT": 2252,
    "SOC": 889,
    "LAN": 1100,
    "TXT": 2046,
    "IMG": 2017,
    "NO": 1435,
    "G1-6": 2724,
    "G7-12": 1517,
    "Avg": 4241,
}
"""Questions behind each column of the whole test part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """One method of a published table."""

    name: str
    accuracies: tuple[float, ...]
    """Per cent, in the order of `N_TEST`."""
    source: str


_SCIENCEQA = "Lu et al. (2022), Learn to explain, NeurIPS, and the leaderboard at scienceqa.github.io"
_LLAVA = "Liu et al. (2023), Visual Instruction Tuning, table 7"

PUBLISHED = (
    PublishedRow(
        name="Human",
        accuracies=(90.23, 84.97, 87.48, 89.60, 87.50, 88.10, 91.59, 82.42, 88.40),
        source=_SCIENCEQA,
    ),
    PublishedRow(
        name="GPT-3.5, 2-shot",
        accuracies=(74.64, 69.74, 76.00, 74.44, 67.28, 77.42, 76.80, 68.89, 73.97),
        source=_SCIENCEQA,
    ),
    PublishedRow(
        name="GPT-3.5 with CoT",
        accuracies=(75.44, 70.87, 78.09, 74.68, 67.43, 79.93, 78.23, 69.68, 75.17),
        source=_SCIENCEQA,
    ),
    PublishedRow(
        name="LLaMA-Adapter",
        accuracies=(84.37, 88.30, 84.36, 83.72, 80.32, 86.90, 85.83, 84.05, 85.19),
        source="Zhang, R. et al. (2023), LLaMA-Adapter",
    ),
    PublishedRow(
        name="MM-CoT base",
        accuracies=(87.52, 77.17, 85.82, 87.88, 82.90, 86.83, 84.65, 85.37, 84.91),
        source="Zhang, Z. et al. (2023), Multimodal chain-of-thought reasoning",
    ),
    PublishedRow(
        name="MM-CoT large",
        accuracies=(95.91, 82.00, 90.82, 95.26, 88.80, 92.89, 92.44, 90.31, 91.68),
        source="Zhang, Z. et al. (2023), Multimodal chain-of-thought reasoning",
    ),
    PublishedRow(
        name="GPT-4, 2-shot",
        accuracies=(84.06, 73.45, 87.36, 81.87, 70.75, 90.73, 84.69, 79.10, 82.69),
        source=_LLAVA,
    ),
    PublishedRow(
        name="LLaVA-13B",
        accuracies=(90.36, 95.95, 88.00, 89.49, 88.00, 90.66, 90.93, 90.90, 90.92),
        source=_LLAVA,
    ),
    PublishedRow(
        name="LLaVA+GPT-4, complement",
        accuracies=(90.36, 95.50, 88.55, 89.05, 87.80, 91.08, 92.22, 88.73, 90.97),
        source=_LLAVA,
    ),
    PublishedRow(
        name="LLaVA+GPT-4, judge",
        accuracies=(91.56, 96.74, 91.09, 90.62, 88.99, 93.52, 92.73, 92.16, 92.53),
        source=_LLAVA,
    ),
)
