"""Tasks as rows, and probabilities as answers."""

import numpy as np
import pytest

from studies.probing import PROBES, ChoiceTask, ClassTask, Stage, read_out
from studies.probing.rows import as_rows, classes_of, credit_and_log_prob
from tests.studies.probing.planted import classes, example, same_options


def options(n_items: int, seed: int = 0, *, signal: float = 2.5, dim: int = 6):
    """Items of 2 to 4 options; in one direction right options stand apart."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 5, size=n_items)
    question = np.repeat(np.arange(n_items), sizes)
    starts = np.cumsum(sizes) - sizes
    is_right = np.zeros(len(question), dtype=bool)
    is_right[starts + rng.integers(sizes)] = True
    vectors = rng.normal(size=(len(question), dim))
    vectors[:, 0] += signal * is_right
    text = np.array([f"text {k}" for k in rng.integers(40, size=len(question))])
    task = ChoiceTask(question=question, option=text, is_right=is_right)
    return Stage(name="options", level="option", vectors=vectors, question=question), task


def test_options_share_their_probability_of_being_right() -> None:
    task = ChoiceTask(
        question=np.array([0, 0, 1, 1, 1]),
        option=np.array(list("abcde")),
        is_right=np.array([True, False, False, True, False]),
    )
    stage = Stage(name="s", level="option", vectors=np.zeros((5, 2)), question=task.question)
    rows = as_rows(stage, task, classes_of(stage, task))
    right = np.array([0.6, 0.2, 0.3, 0.3, 0.0])
    credit, log_prob = credit_and_log_prob(np.column_stack([right, 1 - right]), rows, n_train=9)
    np.testing.assert_allclose(credit, [1.0, 0.5])
    np.testing.assert_allclose(np.exp(log_prob), [(9 * 0.75 + 1 / 2) / 10, (9 * 0.5 + 1 / 3) / 10])


def test_texts_that_were_never_right_have_no_probability() -> None:
    task = ChoiceTask(
        question=np.array([0, 0, 0, 1, 1, 2, 2]),
        option=np.array(["cat", "dog", "new", "cat", "dog", "other", "new"]),
        is_right=np.array([True, False, False, False, True, True, False]),
    )
    known = np.array(["cat", "dog"])
    rows = as_rows(example(np.zeros((2, 1))), task.take(np.arange(2)), known)
    prob = np.array([[0.2, 0.8], [0.2, 0.8]])
    credit, log_prob = credit_and_log_prob(prob, rows, n_train=99)
    np.testing.assert_allclose(credit, [0.0, 1.0])
    np.testing.assert_allclose(np.exp(log_prob), [(99 * 0.2 + 1 / 3) / 100, (99 * 0.8 + 1 / 2) / 100])
    assert rows.outcome.tolist() == [0, 1, -1, 0, 1]


def test_an_item_whose_options_are_all_unknown_is_a_guess() -> None:
    task = ChoiceTask(
        question=np.array([0, 0, 1, 1, 1, 1]),
        option=np.array(["a", "b", "c", "d", "e", "f"]),
        is_right=np.array([True, False, True, False, False, False]),
    )
    X = np.zeros((2, 1))
    found = read_out(
        "linear",
        example(X),
        task,
        groups=np.arange(2),
        train=np.array([0]),
        test=np.array([1]),
        seed=0,
    )
    assert found.credit.tolist() == [0.25]
    assert found.log_prob[0] == pytest.approx(np.log(0.25))


@pytest.mark.parametrize("name", list(PROBES))
def test_the_order_of_options_changes_nothing(name: str) -> None:
    stage, task = options(260)
    rng = np.random.default_rng(9)
    around = np.lexsort((rng.random(len(task.question)), task.question))
    turned = ChoiceTask(question=task.question, option=task.option[around], is_right=task.is_right[around])
    vectors = stage.vectors[around]
    assert not np.array_equal(turned.is_right, task.is_right)
    train, test = np.arange(200), np.arange(200, 260)
    settings = PROBES[name].middle()
    # Trained in one order, asked in both.
    mixed_right, mixed_text, mixed_vectors = task.is_right.copy(), task.option.copy(), stage.vectors.copy()
    asked = task.question >= 200
    mixed_right[asked], mixed_text[asked] = turned.is_right[asked], turned.option[asked]
    mixed_vectors[asked] = vectors[asked]
    mixed = ChoiceTask(question=task.question, option=mixed_text, is_right=mixed_right)
    straight, other = (
        read_out(name, of, what, groups=np.arange(260), train=train, test=test, seed=0, settings=settings)
        for of, what in (
            (stage, task),
            (Stage(name="o", level="option", vectors=mixed_vectors, question=task.question), mixed),
        )
    )
    np.testing.assert_array_equal(straight.credit, other.credit)
    np.testing.assert_allclose(straight.log_prob, other.log_prob, atol=1e-12)
    assert straight.credit.mean() > 0.55


def test_a_class_is_read_off_the_mean_of_an_items_options() -> None:
    stage, task = options(50)
    rows = as_rows(stage, classes(np.arange(50) % 2), np.array(["0", "1"]))
    for item in range(50):
        np.testing.assert_allclose(rows.X[item], stage.vectors[task.question == item].mean(axis=0))


def test_a_tie_between_classes_is_shared() -> None:
    rows = as_rows(example(np.zeros((2, 1))), classes([0, 2]), np.array(["0", "1", "2"]))
    credit, _ = credit_and_log_prob(np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2]]), rows, n_train=5)
    np.testing.assert_allclose(credit, [0.5, 0.0])


def test_no_training_item_is_a_uniform_answer() -> None:
    rows = as_rows(example(np.zeros((1, 1))), classes([1]), np.array(["0", "1"]))
    _, log_prob = credit_and_log_prob(np.array([[1.0, 0.0]]), rows, n_train=0)
    assert log_prob[0] == pytest.approx(np.log(0.5))
    _, log_prob = credit_and_log_prob(np.array([[1.0, 0.0]]), rows, n_train=10**9)
    assert log_prob[0] == pytest.approx(np.log(1e-6))


def test_taking_items_keeps_their_rows() -> None:
    stage, task = options(12)
    items = np.array([7, 0, 3])
    few, vectors = task.take(items), stage.take(items)
    assert (few.n_items, vectors.n_items, few.kind, vectors.dim) == (3, 3, "choice", 6)
    for place, item in enumerate(items):
        of = task.question == item
        np.testing.assert_array_equal(few.option[few.question == place], task.option[of])
        np.testing.assert_array_equal(few.is_right[few.question == place], task.is_right[of])
        np.testing.assert_array_equal(vectors.vectors[few.question == place], stage.vectors[of])
    labels = classes(np.arange(12))
    assert labels.take(items).labels.tolist() == ["7", "0", "3"]
    assert (labels.n_items, labels.kind) == (12, "class")


def test_malformed_tasks_and_stages_are_refused() -> None:
    good = same_options([0, 1], 2)
    with pytest.raises(ValueError, match="item 0 has 0 right options"):
        ChoiceTask(question=good.question, option=good.option, is_right=np.array([0, 0, 0, 1], dtype=bool))
    with pytest.raises(ValueError, match="ascend"):
        ChoiceTask(question=np.array([0, 1, 0, 1]), option=good.option, is_right=good.is_right)
    with pytest.raises(ValueError, match="as many of each"):
        ChoiceTask(question=good.question, option=good.option[:3], is_right=good.is_right)
    with pytest.raises(ValueError, match="one per item"):
        ClassTask(labels=np.array([], dtype=str))
    with pytest.raises(ValueError, match="only there"):
        Stage(name="s", level="option", vectors=np.zeros((4, 2)))
    with pytest.raises(ValueError, match="only there"):
        Stage(name="s", level="example", vectors=np.zeros((4, 2)), question=good.question)
    with pytest.raises(ValueError, match="4 items of 3 rows"):
        Stage(name="s", level="option", vectors=np.zeros((3, 2)), question=good.question)
    with pytest.raises(ValueError, match="rows by dimensions"):
        Stage(name="s", level="example", vectors=np.zeros(3))
    stage = Stage(name="s", level="option", vectors=np.zeros((4, 2)), question=np.array([0, 0, 0, 1]))
    with pytest.raises(ValueError, match="other option rows"):
        as_rows(stage, good, classes_of(stage, good))
