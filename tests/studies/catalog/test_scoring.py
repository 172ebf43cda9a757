from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from llava_core.data.example import Example
from studies.catalog.scoring import Scorer, question_scores
from studies.predictions import build_predictions


def table(prob: list[list[float]], *, method: str = "m", right: int = 0) -> pd.DataFrame:
    """Predictions for questions q0, q1, ... with the same right option."""
    rows = [(f"q{i}", j, int(j == right), p) for i, options in enumerate(prob) for j, p in enumerate(options)]
    ids, index, y, flat = zip(*rows, strict=True)
    return build_predictions(method, example_ids=ids, option_index=index, y=y, prob=flat)


def scorer(frame: pd.DataFrame, examples: list[Example]) -> Scorer:
    return Scorer(predictions=frame, examples=tuple(examples), level=0.95, n_boot=100, seed=0)


def test_scores_follow_the_order_asked_for() -> None:
    frame = table([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]])
    scores = question_scores(frame, ["q2", "q0", "q1"])
    assert scores.credit.tolist() == [0, 1, 0.5]
    assert scores.log_loss is not None
    assert scores.confidence is not None
    assert np.allclose(scores.log_loss, -np.log([0.1, 0.8, 0.5]))
    assert np.allclose(scores.confidence, [0.9, 0.8, 0.5])


def test_row_order_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    frame = table(rng.dirichlet([1, 1, 1], 40).tolist())
    asked = [f"q{i}" for i in rng.permutation(40)[:25]]
    shuffled = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    one, other = question_scores(frame, asked), question_scores(shuffled, asked)
    assert np.array_equal(one.credit, other.credit)
    assert one.log_loss is not None
    assert other.log_loss is not None
    assert np.allclose(one.log_loss, other.log_loss)


def test_no_answer_is_wrong_and_has_no_proper_score() -> None:
    frame = build_predictions("llm:x", example_ids=["q0", "q0"], option_index=[0, 1], y=[1, 0], chosen=[0, 0])
    scores = question_scores(frame, ["q0"])
    assert scores.credit.tolist() == [0]
    assert scores.log_loss is scores.brier is scores.confidence is None


def test_a_question_without_prediction_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 questions, the first is q9"):
        question_scores(table([[0.8, 0.2]]), ["q0", "q9"])


def test_llm_and_ensembles_meet_in_one_comparison(make_example: Callable[..., Example]) -> None:
    ours = table([[0.9, 0.1]] * 30, method="xgboost")
    ids = [f"q{i // 2}" for i in range(60)]
    theirs = build_predictions(
        "llm:x", example_ids=ids, option_index=[0, 1] * 30, y=[1, 0] * 30, chosen=[1, 0] * 20 + [0, 1] * 10
    )
    frame = pd.concat([ours, theirs], ignore_index=True)
    score = scorer(frame, [make_example(f"q{i}", options=("a", "b")) for i in range(30)])
    (row,) = score.comparisons([("xgboost", "llm:x")])
    assert (row["gains"], row["losses"], row["n"]) == (10, 0, 30)
    assert row["difference"]["value"] == pytest.approx(1 / 3)
    assert row["p_holm"] == row["mcnemar_p"] == pytest.approx(2 * 0.5**10)
    assert score.figures("llm:x")["log_loss"] is None
    assert score.figures("xgboost")["log_loss"]["value"] == pytest.approx(-np.log(0.9))


def test_slices_count_what_has_the_value(make_example: Callable[..., Example]) -> None:
    frame = table([[0.9, 0.1]] * 30 + [[0.1, 0.9]] * 30)
    examples = [
        make_example(
            f"q{i}",
            options=("a", "b"),
            has_image=i < 30,
            grade="grade3" if i < 20 else "grade12" if i < 40 else None,
            subject="only one",
        )
        for i in range(60)
    ]
    rows = scorer(frame, examples).slices(["m"])
    found = {(row["dimension"], row["value"]): (row["n"], row["accuracy"]["m"]["value"]) for row in rows}
    assert found == {
        ("context", "image context"): (30, 1),
        ("context", "no context"): (30, 0),
        ("grade", "grades 1-6"): (20, 1),
        ("grade", "grades 7-12"): (20, 0.5),
    }
