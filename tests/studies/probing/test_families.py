"""Every family of probes: planted answers are found, absent ones are not, memory is exposed."""

import numpy as np
import pytest

from studies.probing import PROBES, control_task, read_out, shuffled_task
from studies.probing.family import ProbeFamily
from studies.probing.probes import fit_probe, prob_along, probe_family
from studies.probing.rows import as_rows
from tests.studies.probing.planted import classes, example, linear_classes, same_options, split

every_probe = pytest.mark.parametrize("name", list(PROBES))


def test_there_are_probes_to_test() -> None:
    assert list(PROBES) == ["linear", "neighbours", "tree", "forest", "boosting"]
    assert all(isinstance(family, ProbeFamily) and len(family.grid) > 1 for family in PROBES.values())


@every_probe
def test_a_concept_that_lies_in_the_vectors_is_found(name: str) -> None:
    X, y, log_prob = linear_classes(1600)
    train, test = split(1600, 800)
    found = read_out(name, example(X), classes(y), groups=np.arange(1600), train=train, test=test, seed=0)
    best = (log_prob[test].argmax(axis=1) == y[test]).mean()
    best_log_prob = log_prob[test, y[test]].mean()
    behind = {"linear": 0.02, "tree": 0.25}.get(name, 0.06)
    assert best - behind < found.credit.mean() < best + 0.03
    if name == "linear":
        assert found.log_prob.mean() == pytest.approx(best_log_prob, abs=0.03)
    assert found.log_prob.mean() < best_log_prob + 0.02
    assert found.size_bytes > 0


@every_probe
def test_a_concept_that_is_not_there_stays_at_chance(name: str) -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(1200, 10)), rng.integers(4, size=1200)
    train, test = split(1200, 400)
    found = read_out(name, example(X), classes(y), groups=np.arange(1200), train=train, test=test, seed=0)
    # Four standard errors of 800 items.
    assert found.credit.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 800))
    assert np.log(0.25) - 0.1 < found.log_prob.mean() < np.log(0.25) + 0.02


def test_an_exclusive_or_is_for_trees_and_not_for_lines() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(1600, 5))
    y = X[:, 0] * X[:, 1] > 0
    train, test = split(1600, 1000)
    credit = {
        name: read_out(
            name, example(X), classes(y), groups=np.arange(1600), train=train, test=test, seed=0
        ).credit.mean()
        for name in ("linear", "forest", "boosting")
    }
    assert credit["linear"] < 0.58
    assert min(credit["forest"], credit["boosting"]) > 0.85


@every_probe
def test_shuffled_labels_leave_chance_even_where_the_concept_is_plain(name: str) -> None:
    X, y, _ = linear_classes(1400, n_classes=6, distance=4.0)
    train, test = split(1400, 600)
    credits = [
        read_out(
            name,
            example(X),
            shuffled_task(classes(y), train, seed=seed),
            groups=np.arange(1400),
            train=train,
            test=test,
            seed=0,
            settings=PROBES[name].middle(),
        ).credit.mean()
        for seed in range(3)
    ]
    # Whole classes go to the same wrong label: an accuracy varies more than that of guesses.
    assert np.mean(credits) == pytest.approx(1 / 6, abs=0.1)


def families_of_copies(seed: int, *, n_families: int = 150, size: int = 4, dim: int = 10):
    """Items of a family are nearly the same vector."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_families), size)
    centres = rng.normal(size=(n_families, dim))
    return centres, groups, centres[groups] + 0.02 * rng.normal(size=(len(groups), dim)), rng


def real_and_control(name: str, X, y, groups, rng) -> tuple[float, float]:
    mixed = rng.permutation(len(groups))
    train, test = np.sort(mixed[: len(mixed) * 3 // 4]), np.sort(mixed[len(mixed) * 3 // 4 :])
    settings = {"neighbours": {"n_neighbours": 1}, "linear": {"C": 0.1}}.get(name, PROBES[name].grid[-1])
    real, control = (
        read_out(
            name, example(X), task, groups=groups, train=train, test=test, seed=0, settings=settings
        ).credit.mean()
        for task in (classes(y), control_task(classes(y), groups, seed=7))
    )
    return real, control


@pytest.mark.parametrize("name", ["neighbours", "forest"])
def test_a_probe_that_memorises_has_no_selectivity(name: str) -> None:
    centres, groups, X, rng = families_of_copies(3)
    y = rng.integers(2, size=len(centres))[groups]
    real, control = real_and_control(name, X, y, groups, rng)
    assert min(real, control) > 0.95
    assert abs(real - control) < 0.04
    # Of families that it never saw it knows nothing.
    train, test = np.flatnonzero(groups < 75), np.flatnonzero(groups >= 75)
    apart = read_out(name, example(X), classes(y), groups=groups, train=train, test=test, seed=0)
    assert apart.credit.mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 75))


def test_a_line_that_finds_a_concept_is_selective_where_memory_is_not() -> None:
    centres, groups, X, rng = families_of_copies(4)
    y = (centres[:, 0] + centres[:, 1] > 0)[groups]
    real, control = real_and_control("linear", X, y, groups, rng)
    assert real > 0.93
    assert real - control > 0.25
    real, control = real_and_control("neighbours", X, y, groups, rng)
    assert real - control < 0.1


@every_probe
def test_seed_settles_the_result_and_threads_do_not_change_it(name: str) -> None:
    X, y, _ = linear_classes(300)
    train, test = split(300, 200)
    one, again, two = (
        read_out(
            name,
            example(X),
            classes(y),
            groups=np.arange(300) // 2,
            train=train,
            test=test,
            seed=5,
            n_jobs=n_jobs,
        )
        for n_jobs in (1, 1, 2)
    )
    for other in (again, two):
        np.testing.assert_array_equal(one.log_prob, other.log_prob)
        np.testing.assert_array_equal(one.credit, other.credit)
        assert one.chosen == other.chosen


@every_probe
def test_the_order_of_test_items_changes_nothing(name: str) -> None:
    X, y, _ = linear_classes(240)
    train, test = split(240, 160)
    around = np.random.default_rng(0).permutation(80)
    settings = PROBES[name].middle()
    straight, turned = (
        read_out(
            name,
            example(X),
            classes(y),
            groups=np.arange(240),
            train=train,
            test=part,
            seed=0,
            settings=settings,
        )
        for part in (test, test[around])
    )
    np.testing.assert_allclose(straight.log_prob[around], turned.log_prob, atol=1e-12)
    np.testing.assert_array_equal(straight.credit[around], turned.credit)


@pytest.mark.parametrize("name", ["linear", "neighbours"])
def test_the_order_of_training_items_changes_nothing(name: str) -> None:
    X, y, _ = linear_classes(240)
    train, test = split(240, 160)
    straight, turned = (
        read_out(name, example(X), classes(y), groups=np.arange(240), train=part, test=test, seed=0)
        for part in (train, np.random.default_rng(1).permutation(train))
    )
    assert straight.chosen == turned.chosen
    np.testing.assert_allclose(straight.log_prob, turned.log_prob, atol=1e-6)


@every_probe
def test_a_family_decides_by_its_own_folds(name: str) -> None:
    """The shorter way along the settings says the same as a fit for each of them."""
    X, y, _ = linear_classes(200)
    family = PROBES[name]
    at_once = prob_along(family, X[:120], y[:120], X[120:], n_classes=3, grid=family.grid, seed=0, n_jobs=1)
    for settings, prob in zip(family.grid, at_once, strict=True):
        alone = fit_probe(family, X[:120], y[:120], n_classes=3, settings=settings, seed=0, n_jobs=1)
        np.testing.assert_allclose(prob, alone.prob(X[120:]), atol=1e-12)
        np.testing.assert_allclose(prob.sum(axis=1), 1.0, atol=1e-6)


@every_probe
def test_a_training_set_of_one_class_makes_certain_of_it(name: str) -> None:
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(30, 4)), np.repeat([0, 1], [20, 10])
    train, test = np.arange(15), np.array([16, 25])
    found = read_out(name, example(X), classes(y), groups=np.arange(30), train=train, test=test, seed=0)
    np.testing.assert_array_equal(found.credit, [1.0, 0.0])
    # One item in sixteen is spread over both classes.
    np.testing.assert_allclose(np.exp(found.log_prob), [15.5 / 16, 0.5 / 16])
    assert found.size_bytes == 0


@every_probe
def test_a_class_that_training_lacks_keeps_a_probability(name: str) -> None:
    X, y, _ = linear_classes(90)
    train, test = np.flatnonzero(y != 2)[:40], np.flatnonzero(y == 2)[:5]
    found = read_out(name, example(X), classes(y), groups=np.arange(90), train=train, test=test, seed=0)
    np.testing.assert_array_equal(found.credit, 0.0)
    np.testing.assert_allclose(np.exp(found.log_prob), 1 / 3 / 41)


@every_probe
def test_four_items_and_columns_that_never_vary_are_enough(name: str) -> None:
    X = np.array([[0.0, 1e6, 0.0], [0.1, 1e6, 0.0], [5.0, 1e6, 0.0], [5.1, 1e6, 0.0], [0.0, 1e6, 0.0]])
    y = np.array([0, 0, 1, 1, 0])
    found = read_out(
        name, example(X), classes(y), groups=np.arange(5), train=np.arange(4), test=np.array([4]), seed=0
    )
    assert np.exp(found.log_prob[0]) > 0.45


def test_columns_that_never_vary_change_no_distance() -> None:
    X, y, _ = linear_classes(120)
    train, test = split(120, 80)
    wider = np.hstack([X, np.full((120, 2), 3.7)])
    for name in ("linear", "neighbours"):
        plain, more = (
            read_out(
                name, example(vectors), classes(y), groups=np.arange(120), train=train, test=test, seed=0
            )
            for vectors in (X, wider)
        )
        np.testing.assert_allclose(plain.log_prob, more.log_prob, atol=1e-6)


def test_settings_are_chosen_by_family() -> None:
    """Copies on both sides of a fold would speak for one neighbour, families apart for many."""
    centres, groups, X, rng = families_of_copies(8)
    y = rng.integers(2, size=len(centres))[groups]
    train, test = np.flatnonzero(groups < 100), np.flatnonzero(groups >= 100)
    chosen = {
        told: read_out(
            "neighbours", example(X), classes(y), groups=of, train=train, test=test, seed=0
        ).chosen["n_neighbours"]
        for told, of in (("families", groups), ("rows", np.arange(len(groups))))
    }
    assert chosen == {"families": 50, "rows": 1}


def test_one_family_leaves_nothing_to_choose_on() -> None:
    X, y, _ = linear_classes(60)
    train, test = split(60, 40)
    found = read_out("linear", example(X), classes(y), groups=np.zeros(60), train=train, test=test, seed=0)
    assert found.chosen == PROBES["linear"].middle()


def test_items_without_a_vector_are_the_callers_to_leave_out() -> None:
    X, y, _ = linear_classes(60)
    X[3] = np.nan
    train, test = split(60, 40)
    with pytest.raises(AssertionError, match="without a vector"):
        read_out("linear", example(X), classes(y), groups=np.arange(60), train=train, test=test, seed=0)
    kept = np.setdiff1d(train, [3])
    read_out("linear", example(X), classes(y), groups=np.arange(60), train=kept, test=test, seed=0)


def test_bad_requests_are_refused() -> None:
    X, y, _ = linear_classes(20)
    with pytest.raises(ValueError, match="known are linear, neighbours, tree, forest, boosting"):
        probe_family("svm")
    for train, test in ((np.arange(10), np.arange(9, 20)), (np.arange(10), np.arange(0))):
        with pytest.raises(ValueError, match="both sides"):
            read_out("linear", example(X), classes(y), groups=np.arange(20), train=train, test=test, seed=0)
    with pytest.raises(ValueError, match="20 items of stage planted for a task of 19"):
        as_rows(example(X), classes(y[:19]), np.unique(y.astype(str)))


def test_same_options_and_classes_are_one_task() -> None:
    X, y, _ = linear_classes(200)
    train, test = split(200, 120)
    for name in PROBES:
        as_class, as_choice = (
            read_out(
                name,
                example(X),
                task,
                groups=np.arange(200),
                train=train,
                test=test,
                seed=0,
                settings=PROBES[name].middle(),
            )
            for task in (classes(y), same_options(y, 3))
        )
        np.testing.assert_allclose(as_class.log_prob, as_choice.log_prob, atol=1e-12)
        np.testing.assert_array_equal(as_class.credit, as_choice.credit)


@every_probe
def test_more_classes_than_half_the_items_are_no_reason_to_warn(name: str) -> None:
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(30), np.arange(10)])
    X = rng.normal(size=(30, 6))[y] + 0.01 * rng.normal(size=(40, 6))
    train, test = split(40, 35)
    found = read_out(
        name,
        example(X),
        classes(y),
        groups=np.arange(40),
        train=train,
        test=test,
        seed=0,
        settings=PROBES[name].grid[-1],
    )
    least = {"linear": 0.8, "neighbours": 0.8, "forest": 0.6}.get(name, 0.0)
    assert found.credit.mean() >= least
    assert found.log_prob.min() > np.log(1 / 30 / 37)
