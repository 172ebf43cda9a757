"""Control labels and shuffled labels."""

import numpy as np
import pytest

from studies.probing import ChoiceTask, Stage, control_task, read_out, shuffled_task
from tests.studies.probing.planted import classes, same_options


def test_a_family_has_one_control_label_and_rare_labels_stay_rare() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(300, size=2000)
    task = classes(rng.choice(3, size=2000, p=[0.7, 0.2, 0.1]))
    control = control_task(task, groups, seed=1)
    assert all(len(set(control.labels[groups == family])) == 1 for family in np.unique(groups))
    shares = np.unique(control.labels, return_counts=True)[1] / 2000
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.08)
    assert (control.labels == task.labels).mean() == pytest.approx(0.54, abs=0.06)


def test_items_that_are_their_own_family_get_a_permutation() -> None:
    task = classes(np.arange(50) % 5)
    control = control_task(task, np.arange(50), seed=1)
    np.testing.assert_array_equal(np.sort(control.labels), np.sort(task.labels))
    assert not np.array_equal(control.labels, task.labels)


def test_the_same_options_of_a_family_have_the_same_right_one_in_any_order() -> None:
    rng = np.random.default_rng(2)
    names = np.array(["a", "b", "c", "d"])
    text = np.concatenate([rng.permutation(names) for _ in range(400)])
    task = ChoiceTask(
        question=np.repeat(np.arange(400), 4), option=text, is_right=np.tile([True, False, False, False], 400)
    )
    groups = np.arange(400) // 4
    control = control_task(task, groups, seed=3)
    right = control.option[control.is_right]
    assert all(len(set(right[groups == family])) == 1 for family in range(100))
    counts = np.unique(right, return_counts=True)[1] / 400
    np.testing.assert_allclose(counts, 0.25, atol=0.15)


def test_only_the_given_items_are_shuffled() -> None:
    items = np.arange(0, 200, 2)
    others = np.arange(1, 200, 2)
    task = classes(np.arange(200) % 7)
    shuffled = shuffled_task(task, items, seed=0)
    np.testing.assert_array_equal(shuffled.labels[others], task.labels[others])
    np.testing.assert_array_equal(np.sort(shuffled.labels[items]), np.sort(task.labels[items]))
    assert (shuffled.labels[items] == task.labels[items]).mean() < 0.35
    choice = same_options(np.arange(200) % 4, 4)
    drawn = shuffled_task(choice, items, seed=0)
    same = (drawn.is_right == choice.is_right).reshape(200, 4).all(axis=1)
    assert same[others].all()
    assert 0.35 < same[items].mean() < 0.65  # two codes among these items


def test_the_seed_settles_both() -> None:
    task, groups = classes(np.arange(60) % 4), np.arange(60) // 3
    for make in (
        lambda seed: control_task(task, groups, seed=seed),
        lambda seed: shuffled_task(task, np.arange(60), seed=seed),
    ):
        np.testing.assert_array_equal(make(1).labels, make(1).labels)
        assert not np.array_equal(make(1).labels, make(2).labels)


def test_a_family_per_item_is_needed() -> None:
    with pytest.raises(ValueError, match="3 families of 4 items"):
        control_task(classes([0, 1, 0, 1]), np.arange(3), seed=0)


def test_the_floor_of_a_choice_is_chance_where_the_vector_names_the_right_word() -> None:
    rng = np.random.default_rng(3)
    options = np.array([rng.permutation(5)[:3] for _ in range(600)])
    right = rng.integers(3, size=600)
    task = ChoiceTask(
        question=np.repeat(np.arange(600), 3),
        option=options.ravel().astype(str),
        is_right=(np.arange(3) == right[:, None]).ravel(),
    )
    word = options[np.arange(600), right]
    stage = Stage(name="s", level="example", vectors=np.eye(5)[word] + rng.normal(0, 0.1, (600, 5)))
    train, test = np.arange(400), np.arange(400, 600)

    def score(labels: ChoiceTask) -> float:
        return read_out(
            "linear",
            stage,
            labels,
            groups=np.arange(600),
            train=train,
            test=test,
            seed=0,
            settings={"C": 0.1},
        ).credit.mean()

    assert score(task) > 0.95
    floors = [score(shuffled_task(task, train, seed=seed)) for seed in range(30)]
    # Standard deviation of one shuffle, which moves all items of a word together: 0.18.
    assert np.mean(floors) == pytest.approx(1 / 3, abs=0.1)
