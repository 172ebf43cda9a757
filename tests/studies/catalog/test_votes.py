from collections import Counter

import numpy as np

from studies.catalog.votes import as_shares, plurality, ranked


def slow_vote(chosen: list[int], order: list[int]) -> int:
    votes = Counter(option for option in chosen if option >= 0)
    if not votes:
        return -1
    most = max(votes.values())
    return next(chosen[m] for m in order if chosen[m] >= 0 and votes[chosen[m]] == most)


def test_the_vote_agrees_with_counting_by_hand() -> None:
    rng = np.random.default_rng(0)
    chosen = rng.integers(-1, 4, (500, 4))
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        expected = [slow_vote(row, order) for row in chosen.tolist()]
        assert plurality(chosen, order).tolist() == expected


def test_models_are_ranked_by_how_often_they_are_right() -> None:
    chosen = np.array([[0, 1, 1], [0, 0, 2], [-1, 1, 1]])
    assert ranked(chosen, np.array([1, 0, 1])) == [1, 2, 0]


def test_an_unparsed_answer_chooses_nothing() -> None:
    shares = as_shares(np.array([1, -1]), np.array([3, 2]))
    assert shares.tolist() == [0, 1, 0, 0, 0]
