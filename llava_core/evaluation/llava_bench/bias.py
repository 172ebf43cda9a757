"""What a judge's scores owe to the order in which the two answers were shown.

Each pair was judged twice, with the reference first, as published, and with the candidate first. A judge
without bias gives an answer the same score in either place. Left out: bias for length or for its own style.

References
----------
Wang, P. et al. (2023). Large language models are not fair evaluators. arXiv 2305.17926.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llava_core.evaluation.llava_bench.estimate import Estimate, ratio_estimate, share_estimate
from llava_core.evaluation.llava_bench.reviews import Review


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionBias:
    """What changes with the order of the answers, over the questions that were judged in both."""

    first_minus_second: Estimate
    """Mean score of the answer shown first less that of the one shown second, over both orders."""
    flipped: Estimate
    """Share of questions where each order prefers another answer."""
    to_or_from_tie: Estimate
    """Share of questions where one order prefers an answer and the other calls it a tie."""
    n: int
    """Questions whose scores could be read in both orders."""
    n_failed: int
    """Questions judged in both orders where they could not."""


def position_bias(
    reviews: Sequence[Review], clusters: Mapping[str, str] | None = None, *, seed: int = 0
) -> PositionBias | None:
    """Return the position bias of a judge; None where no question was judged in both orders.

    Parameters
    ----------
    reviews : sequence of Review
        In both orders; questions in one order only are left out.
    clusters : mapping of str to str, optional
        Question id to image; questions are resampled one by one without it.
    """
    swapped = {str(review.question_id): review for review in reviews if review.swapped}
    pairs = [
        (review, swapped[str(review.question_id)])
        for review in reviews
        if not review.swapped and str(review.question_id) in swapped
    ]
    told = [
        (str(one.question_id), one.scores, other.scores)
        for one, other in pairs
        if one.scores is not None and other.scores is not None
    ]
    names = [question_id if clusters is None else clusters[question_id] for question_id, _, _ in told]
    lead = [(one[0] - one[1] + other[0] - other[1]) / 2 for _, one, other in told]
    # Above zero: the reference was preferred. In the other order it stands second.
    verdicts = [(_sign(one[0] - one[1]), _sign(other[1] - other[0])) for _, one, other in told]
    difference = ratio_estimate([lead], [[1] * len(told)], names, seed=seed)
    flipped = share_estimate([a * b < 0 for a, b in verdicts], names, seed=seed)
    tied = share_estimate([(a == 0) != (b == 0) for a, b in verdicts], names, seed=seed)
    if difference is None or flipped is None or tied is None:
        return None
    return PositionBias(
        first_minus_second=difference,
        flipped=flipped,
        to_or_from_tie=tied,
        n=len(told),
        n_failed=len(pairs) - len(told),
    )


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
