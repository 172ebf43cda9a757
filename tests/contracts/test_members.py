"""What every registered member promises."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from _pytest.mark import ParameterSet
from numpy.typing import NDArray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.utils.estimator_checks import estimator_checks_generator

from ensembles import search
from ensembles.choice import credit, question_probabilities
from ensembles.oof import encode_folds, out_of_fold
from ensembles.persist import load_model, save_model
from ensembles.registry import MEMBERS, find_member
from ensembles.splits import family_folds
from ensembles.stacking import OptionStacking
from ensembles.tuning import tune

Rows = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
FAST = {
    "random_forest": {"n_estimators": 20},
    "xgboost": {"n_estimators": 20},
    "lightgbm": {"n_estimators": 20},
    "forest_of_xgboost": {"n_estimators": 15, "n_members": 4},
    "extra_trees": {"n_estimators": 20},
    "xgboost_parallel_trees": {"n_estimators": 8},
    "xgboost_ranker": {"n_estimators": 20},
    "lightgbm_ranker": {"n_estimators": 20},
}
EVERY = pytest.mark.parametrize("name", sorted(MEMBERS))


def make_rows(*, signal: float, n_questions: int = 240, seed: int = 0) -> Rows:
    """Return X, y, questions, groups; two questions a family, three options a question."""
    rng = np.random.default_rng(seed)
    questions = np.repeat(np.arange(n_questions), 3)
    y = np.zeros(len(questions), dtype=np.int64)
    y[np.arange(n_questions) * 3 + rng.integers(3, size=n_questions)] = 1
    X = rng.normal(size=(len(questions), 6)).astype(np.float32)
    X[:, 0] += signal * y
    X[::11, 3] = np.nan
    return X, y, questions, questions // 2


def build(name: str, *, n_jobs: int = 1, seed: int = 0):
    return MEMBERS[name].make(FAST.get(name, {}), seed=seed, n_jobs=n_jobs)


def test_the_registry_holds_the_ladder() -> None:
    assert {"decision_tree", "random_forest", "xgboost", "lightgbm", "forest_of_xgboost"} <= set(MEMBERS)
    with pytest.raises(ValueError, match="got member 'catboost', allowed are decision_tree"):
        find_member("catboost")


@EVERY
def test_learns_clones_and_keeps_labels(name: str) -> None:
    X, y, questions, groups = make_rows(signal=2.0)
    names = np.array(["wrong", "right"])
    member = clone(build(name)).fit(X[:360], names[y[:360]], groups=groups[:360])
    assert member.classes_.tolist() == ["right", "wrong"]
    assert member.n_features_in_ == 6
    prob = member.predict_proba(X[360:])
    np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-6)
    shares = question_probabilities(prob[:, 0], questions[360:])
    assert credit(shares, questions[360:], y[360:]).mean() > 0.6
    assert set(member.predict(X[360:])) <= {"right", "wrong"}


@EVERY
def test_noise_labels_give_chance_out_of_fold(name: str) -> None:
    X, y, questions, groups = make_rows(signal=0.0, n_questions=400)
    folds = encode_folds(X, y, groups=groups, folds=family_folds(groups, n_folds=4, seed=0))
    prob = out_of_fold(build(name), y, questions=questions, groups=groups, folds=folds).prob
    assert abs(credit(question_probabilities(prob, questions), questions, y).mean() - 1 / 3) < 0.09


@EVERY
def test_bit_equal_for_a_seed_whatever_the_workers(name: str) -> None:
    X, y, _, groups = make_rows(signal=1.0)
    one = build(name, n_jobs=1).fit(X, y, groups=groups).predict_proba(X)
    two = build(name, n_jobs=2).fit(X, y, groups=groups).predict_proba(X)
    np.testing.assert_array_equal(one, two)


@EVERY
def test_order_of_rows_at_prediction_changes_nothing(name: str) -> None:
    X, y, _, groups = make_rows(signal=1.0)
    member = build(name).fit(X, y, groups=groups)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(member.predict_proba(X)[order], member.predict_proba(X[order]), atol=1e-6)


@EVERY
@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        (np.zeros(720, dtype=int), None, "1 class"),
        (np.where(np.arange(720) < 3, np.nan, 1.0), None, "NaN"),
        (None, np.zeros(5, dtype=int), "inconsistent numbers"),
    ],
)
def test_bad_input(name: str, labels: NDArray | None, groups: NDArray | None, message: str) -> None:
    X, y, _, _ = make_rows(signal=1.0)
    with pytest.raises(ValueError, match=message):
        build(name).fit(X, y if labels is None else labels, groups=groups)


@EVERY
def test_defaults_lie_in_the_space_and_a_study_resumes(name: str, tmp_path: Path) -> None:
    X, y, questions, groups = make_rows(signal=1.0, n_questions=60)
    folds = family_folds(groups, n_folds=2, seed=0)

    def study(journal: Path, n_trials: int):
        return tune(
            name,
            X,
            y,
            questions=questions,
            groups=groups,
            folds=folds,
            n_trials=n_trials,
            seed=3,
            storage=journal,
        )

    whole = study(tmp_path / "whole", 3)
    study(tmp_path / "parts", 1)
    parts = study(tmp_path / "parts", 3)
    assert (parts.params, parts.inner_log_loss) == (whole.params, whole.inner_log_loss)
    assert whole.inner_log_loss <= whole.default_inner_log_loss
    calls: list[int] = []
    tune(
        name,
        X,
        y,
        questions=questions,
        groups=groups,
        folds=folds,
        n_trials=3,
        seed=3,
        storage=tmp_path / "parts",
        progress=lambda done, _: calls.append(done),
    )
    assert calls == []


def test_tuning_hands_on_the_best_trials_predictions(tmp_path: Path) -> None:
    X, y, questions, groups = make_rows(signal=1.0)
    folds = family_folds(groups, n_folds=3, seed=0)

    def study():
        return tune(
            "xgboost", X, y, questions=questions, groups=groups, folds=folds, n_trials=3, seed=0,
            storage=tmp_path / "journal",
        )  # fmt: skip

    first, resumed = study(), study()
    best = MEMBERS["xgboost"].make(first.params, seed=0, n_jobs=1)
    encoded = encode_folds(X, y, groups=groups, folds=folds)
    expected = out_of_fold(best, y, questions=questions, groups=groups, folds=encoded).prob
    np.testing.assert_array_equal(first.oof_prob, expected)
    np.testing.assert_array_equal(resumed.oof_prob, expected)


def test_a_study_is_the_same_whatever_the_workers_and_after_a_kill(tmp_path: Path) -> None:
    X, y, questions, groups = make_rows(signal=1.0, n_questions=120)
    folds = family_folds(groups, n_folds=3, seed=0)

    def study(name: str, *, n_jobs: int, progress=None):
        found = tune(
            "decision_tree", X, y, questions=questions, groups=groups, folds=folds, n_trials=11, seed=3,
            storage=tmp_path / name, n_jobs=n_jobs, progress=progress,
        )  # fmt: skip
        return found, trials(name)

    def trials(name: str) -> list[tuple]:
        storage = JournalStorage(JournalFileBackend(str(tmp_path / name)))
        loaded = optuna.load_study(study_name="decision_tree", storage=storage)
        return [(t.number, t.state.name, t.params, t.intermediate_values) for t in loaded.trials]

    one, expected = study("one", n_jobs=1)
    assert one.n_pruned > 0
    assert [state for _, state, _, _ in expected].count("COMPLETE") == 11 - one.n_pruned
    assert study("three", n_jobs=3)[1] == expected

    def kill(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            study("killed", n_jobs=2, progress=kill)
    again, found = study("killed", n_jobs=2)
    assert found == expected
    np.testing.assert_array_equal(again.oof_prob, one.oof_prob)


def test_a_trial_depends_on_its_number_and_not_on_its_round(tmp_path: Path) -> None:
    X, y, questions, groups = make_rows(signal=1.0, n_questions=60)
    folds = family_folds(groups, n_folds=2, seed=0)

    def params(n_trials: int) -> list[dict]:
        tune(
            "xgboost", X, y, questions=questions, groups=groups, folds=folds, n_trials=n_trials, seed=3,
            storage=tmp_path / str(n_trials),
        )  # fmt: skip
        storage = JournalStorage(JournalFileBackend(str(tmp_path / str(n_trials))))
        return [trial.params for trial in optuna.load_study(study_name="xgboost", storage=storage).trials]

    most = params(6)
    for n_trials in (2, 3, 5):
        assert params(n_trials) == most[:n_trials]


def test_trials_that_a_killed_process_proposed_are_done_and_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, questions, groups = make_rows(signal=1.0, n_questions=60)
    folds = family_folds(groups, n_folds=2, seed=0)

    def study(name: str):
        return tune(
            "decision_tree", X, y, questions=questions, groups=groups, folds=folds, n_trials=8, seed=0,
            storage=tmp_path / name,
        )  # fmt: skip

    whole = study("whole")
    told = search.tell
    calls: list[int] = []

    def tell(*arguments) -> None:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        told(*arguments)

    monkeypatch.setattr(search, "tell", tell)
    with pytest.raises(KeyboardInterrupt):
        study("killed")
    again = study("killed")
    assert (again.params, again.inner_log_loss, again.n_trials) == (
        whole.params,
        whole.inner_log_loss,
        whole.n_trials,
    )


def test_a_fit_that_raises_is_a_failed_trial_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, questions, groups = make_rows(signal=1.0, n_questions=60)
    folds = family_folds(groups, n_folds=2, seed=0)
    kind = find_member("decision_tree")
    calls: list[int] = []

    def make(params, *, seed: int, n_jobs: int):
        calls.append(1)
        if len(calls) == 1 or tmp_path.joinpath("never").exists():
            raise ValueError("too few rows")
        return kind.make(params, seed=seed, n_jobs=n_jobs)

    monkeypatch.setitem(MEMBERS, "decision_tree", replace(kind, make=make))

    def study(journal: str):
        return tune(
            "decision_tree", X, y, questions=questions, groups=groups, folds=folds, n_trials=3, seed=0,
            storage=tmp_path / journal,
        )  # fmt: skip

    found = study("some")
    assert (found.n_trials, found.n_failed, found.default_inner_log_loss) == (3, 1, None)
    tmp_path.joinpath("never").touch()
    with pytest.raises(ValueError, match="too few rows"):
        study("none")


def test_neighbours_want_no_more_rows_than_there_are() -> None:
    X, y, _, groups = make_rows(signal=1.0, n_questions=8)
    prob = build("neighbours").fit(X, y, groups=groups).predict_proba(X)
    assert np.isfinite(prob).all()


def test_saved_models_predict_the_same_in_a_new_process(tmp_path: Path) -> None:
    X, y, questions, groups = make_rows(signal=1.0)
    np.save(tmp_path / "X.npy", X, allow_pickle=False)
    np.save(tmp_path / "questions.npy", questions, allow_pickle=False)
    members = [(name, build(name)) for name in sorted(MEMBERS)]
    stack = OptionStacking(members, n_folds=3).fit(X, y, questions=questions, groups=groups)
    save_model(stack, tmp_path / "model")
    script = (
        "import sys, numpy as np; from pathlib import Path; from ensembles.persist import load_model\n"
        "folder = Path(sys.argv[1]); X = np.load(folder / 'X.npy'); q = np.load(folder / 'questions.npy')\n"
        "np.save(folder / 'prob.npy', load_model(folder / 'model').predict_proba(X, questions=q))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "prob.npy"), stack.predict_proba(X, questions=questions))
    assert [file.suffix for file in (tmp_path / "model").iterdir()].count(".pkl") == 0


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    X, y, _, groups = make_rows(signal=1.0)
    save_model(build("decision_tree").fit(X, y, groups=groups), tmp_path / "model")
    file = tmp_path / "model" / "model.skops"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="SHA-256 differs"):
        load_model(tmp_path / "model")


def test_a_strange_type_is_refused(tmp_path: Path) -> None:
    save_model(Path("nothing"), tmp_path / "model")
    with pytest.raises(ValueError, match="not trusted"):
        load_model(tmp_path / "model")


RANDOM = "draws rows or features at random: a row of weight 2 is not drawn like two rows of weight 1"
EXPECTED_FAILURES = {
    "random_forest": {"check_sample_weight_equivalence_on_dense_data": RANDOM},
    "xgboost": {"check_sample_weight_equivalence_on_dense_data": RANDOM},
    "forest_of_xgboost": {"check_sample_weight_equivalence_on_dense_data": RANDOM},
    "extra_trees": {"check_sample_weight_equivalence_on_dense_data": RANDOM},
    "xgboost_parallel_trees": {"check_sample_weight_equivalence_on_dense_data": RANDOM},
    "xgboost_ranker": {
        "check_sample_weight_equivalence_on_dense_data": "pairs of a question have one weight, not two"
    },
    "conditional_logit": {
        "check_sample_weight_equivalence_on_dense_data": "spreads are those of the rows, not of their weights"
    },
}
"""Checks of scikit-learn that a member does not pass, each with the reason; none of classification basics."""


LEFT_OUT = ("check_array_api_input",)
"""Needs an environment variable that changes scipy for the whole process."""


def checks() -> list[ParameterSet]:
    """Return scikit-learn's checks of every member; those it is known to fail are marked."""
    found = []
    for name in sorted(MEMBERS):
        for estimator, check in estimator_checks_generator(build(name), mark=None):
            told = check.func.__name__ if hasattr(check, "func") else check.__name__
            if told in LEFT_OUT:
                continue
            reason = EXPECTED_FAILURES.get(name, {}).get(told)
            marks = [pytest.mark.xfail(reason=reason)] if reason else []
            found.append(pytest.param(estimator, check, id=f"{name}-{told}-{len(found)}", marks=marks))
    return found


# scikit-learn's forest warns where its samples are of a few rows, as those of the checks are.
@pytest.mark.filterwarnings("ignore:Using the fractional value max_samples")
@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learns_own_checks(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize(
    ("name", "noise"), [("xgboost_ranker", 0.7), ("lightgbm_ranker", 0.7), ("conditional_logit", 7.0)]
)
def test_utilities_choose_among_the_options_of_a_question(name: str, noise: float) -> None:
    X, y, questions, groups = make_rows(signal=2.0)
    # What a question shares says nothing about its options, and must not.
    X = X + np.random.default_rng(0).normal(scale=noise, size=(240, 6))[questions].astype(np.float32)
    member = build(name).fit(X[:360], y[:360], groups=groups[:360], questions=questions[:360])
    prob = member.predict_proba(X[360:], questions=questions[360:])[:, 1]
    np.testing.assert_allclose(np.bincount(questions[360:] - 120, weights=prob), 1)
    assert credit(prob, questions[360:], y[360:]).mean() > 0.6


@EVERY
def test_groups_are_routed(name: str) -> None:
    X, y, _, groups = make_rows(signal=1.0, n_questions=60)
    with config_context(enable_metadata_routing=True):
        member = build(name).set_fit_request(groups=True, sample_weight=True)
        member.set_score_request(sample_weight=True)
        scores = cross_validate(
            member, X, y, cv=GroupKFold(3), params={"groups": groups, "sample_weight": np.ones(len(y))}
        )
    assert np.isfinite(scores["test_score"]).all()
