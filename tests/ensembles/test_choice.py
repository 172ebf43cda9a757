import numpy as np
import pytest

from ensembles.choice import chosen, credit, question_log_loss, question_probabilities


def test_probabilities_sum_to_one_per_question_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    questions = rng.integers(20, size=200)
    prob = question_probabilities(rng.random(200), questions)
    sums = {q: prob[questions == q].sum() for q in set(questions.tolist())}
    np.testing.assert_allclose(list(sums.values()), 1)


def test_a_question_of_zeros_is_even() -> None:
    np.testing.assert_allclose(question_probabilities([0, 0, 1, 0], [1, 1, 2, 2])[:2], 0.5)


def test_credit_against_a_loop_with_ties() -> None:
    rng = np.random.default_rng(1)
    questions = np.repeat(np.arange(50), 3)
    prob = rng.integers(3, size=150) / 2
    y = np.tile([0, 1, 0], 50)
    slow = []
    for q in range(50):
        values = prob[questions == q]
        best = values == values.max()
        slow.append(best[1] / best.sum())
    np.testing.assert_allclose(credit(prob, questions, y), slow)
    np.testing.assert_allclose(np.bincount(questions, weights=chosen(prob, questions)), 1)


def test_log_loss_of_the_right_options() -> None:
    loss = question_log_loss([0.25, 0.75, 0.9, 0.1], [5, 5, 3, 3], [0, 1, 0, 1])
    np.testing.assert_allclose(loss, [-np.log(0.1), -np.log(0.75)])


@pytest.mark.parametrize(
    ("score", "questions", "message"),
    [
        ([0.1, -0.2], [0, 0], "negative"),
        ([0.1, np.nan], [0, 0], "finite"),
        ([0.1], [0, 0], "one score per row"),
    ],
)
def test_bad_scores(score: list[float], questions: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        question_probabilities(score, questions)
