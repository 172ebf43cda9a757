"""How well concepts are covered before and after the filter: numbers first, the drawing of them second."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_AT_LEAST = (1, 3, 10, 30, 100, 300, 1000, 10_000, 100_000)
_BINS_PER_DECADE = 12
_BAND = (10, 90)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Coverage:
    """Phrases from the most frequent to the rarest, in bins that grow by a constant factor."""

    ranks: NDArray[np.float64]
    """(n_bins,): rank of the middle of a bin, counted from 1."""
    before: NDArray[np.float64]
    """(n_bins,): median captions per phrase in all captions."""
    after: NDArray[np.float64]
    """(n_bins,): the same in the pool."""
    after_low: NDArray[np.float64]
    after_high: NDArray[np.float64]
    """(n_bins,): 10th and 90th percentile in the pool."""
    at_least: Mapping[int, tuple[int, int]]
    """Captions: phrases with at least so many, before and after."""


def measure_coverage(before: NDArray[np.int64], after: NDArray[np.int64]) -> Coverage:
    """Return how many captions phrases have.

    Parameters
    ----------
    before, after : ndarray of shape (n_phrases,)
        Captions with each phrase, in the same order.

    Examples
    --------
    >>> measure_coverage(np.array([3, 40]), np.array([3, 10])).at_least[30]
    (1, 0)
    """
    order = np.argsort(-before, kind="stable")
    n_phrases = len(before)
    n_bins = max(1, round(_BINS_PER_DECADE * np.log10(max(n_phrases, 2))))
    edges = np.unique(np.round(np.geomspace(1, n_phrases + 1, n_bins + 1)).astype(np.int64)) - 1
    bins = [order[low:high] for low, high in pairwise(edges)]
    middles = [np.sqrt((low + 1) * high) for low, high in pairwise(edges)]
    low, high = (np.array([np.percentile(after[b], q) for b in bins]) for q in _BAND)
    largest = int(before.max(initial=0))
    return Coverage(
        ranks=np.array(middles),
        before=np.array([np.median(before[b]) for b in bins]),
        after=np.array([np.median(after[b]) for b in bins]),
        after_low=low,
        after_high=high,
        at_least={
            n: (int((before >= n).sum()), int((after >= n).sum())) for n in _AT_LEAST if n <= max(largest, 1)
        },
    )


def draw_coverage(
    coverage: Coverage, path: Path, *, n_before: int, n_after: int, n_phrases: int, cap: int
) -> None:
    """Write the figure: captions per phrase over the rank of the phrase, both logarithmic.

    Parameters
    ----------
    coverage : Coverage
    path : Path
        File to write, SVG.
    n_before, n_after : int
        Captions.
    n_phrases : int
    cap : int
        Most captions that were added for one phrase.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "coverage", "font.size": 10}):
        drawn = Figure(figsize=(7.2, 4.4), layout="constrained")
        axes = drawn.add_subplot()
        axes.fill_between(
            coverage.ranks,
            coverage.after_low,
            coverage.after_high,
            color="#d95f02",
            alpha=0.18,
            linewidth=0,
            label="pool: middle 80 % of phrases",
        )
        axes.plot(
            coverage.ranks, coverage.before, color="#1f4e79", linewidth=2, label=f"all {n_before:,} captions"
        )
        axes.plot(
            coverage.ranks,
            coverage.after,
            color="#d95f02",
            linewidth=2,
            linestyle=(0, (4, 1.5)),
            label=f"pool of {n_after:,} ({n_after / max(n_before, 1):.1%})",
        )
        axes.axhline(cap, color="#555555", linewidth=0.8, linestyle=":")
        axes.text(
            1.0, cap, f" at most {cap:,} drawn", color="#555555", fontsize=8, va="bottom", ha="right",
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
        axes.set(
            xscale="log",
            yscale="log",
            xlabel=f"rank of the phrase among {n_phrases:,}, most frequent first",
            ylabel="captions with the phrase (median)",
        )
        axes.set_ylim(bottom=max(0.8, 0.8 * float(min(coverage.after_low.min(), coverage.before.min()))))
        axes.set_title("Concept coverage before and after the filter", loc="left", fontsize=11)
        axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper right" if cap < coverage.before.max() / 3 else "lower left")
        drawn.savefig(path, format="svg", metadata={"Date": None})
