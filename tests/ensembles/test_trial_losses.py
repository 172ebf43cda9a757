"""Losses of trials per question, and random searches beside tuned ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ensembles.oof import encode_folds
from ensembles.oof_store import OofStore
from ensembles.search import FIRST_AT_RANDOM, Search, open_study, run_rounds
from ensembles.splits import family_folds
from ensembles.trial import Rows, clustered_error
from ensembles.trial_losses import losses_of_trials

N_TRIALS = 14


@pytest.fixture
def search(tmp_path: Path) -> Search:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(60), 3)
    y = np.zeros(len(questions), dtype=np.int64)
    y[np.arange(60) * 3 + rng.integers(3, size=60)] = 1
    X = rng.normal(size=(len(questions), 4)).astype(np.float32)
    X[:, 0] += 1.5 * y
    groups = questions // 2
    folds = encode_folds(X, y, groups=groups, folds=family_folds(groups, n_folds=3, seed=0))
    return Search(
        member="decision_tree",
        rows=Rows(y=y, questions=questions, groups=groups),
        folds=folds,
        n_trials=N_TRIALS,
        seed=0,
        storage=tmp_path / "tuned.journal",
        study_name="decision_tree",
        store=OofStore(tmp_path / "oof"),
    )


def trials_of(search: Search) -> list:
    run_rounds(search, n_jobs=1)
    return open_study(search).trials


def test_means_and_errors_are_those_of_the_trials_and_nothing_is_fitted(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(search)
    monkeypatch.setattr(OofStore, "_write", lambda *_: pytest.fail("a fold was fitted again"))
    found = losses_of_trials(search, trials, n_jobs=2)
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert found.numbers == tuple(trial.number for trial in complete)
    assert len(complete) < N_TRIALS, "some trial is to be stopped early"
    assert found.losses.mean(axis=1) == pytest.approx([trial.value for trial in complete])
    assert found.losses.shape == (len(complete), 60)
    best = min(complete, key=lambda trial: (trial.value, trial.number))
    assert found.numbers[found.best] == best.number
    error = clustered_error(found.losses[found.best], found.families)
    assert error == pytest.approx(best.user_attrs["standard_error"])


def test_other_rows_than_the_trials_saw_are_refused(search: Search) -> None:
    trials = trials_of(search)
    y = np.roll(search.rows.y.reshape(-1, 3), 1, axis=1).ravel()
    with pytest.raises(ValueError, match="trial 0 of decision_tree was told"):
        losses_of_trials(replace(search, rows=replace(search.rows, y=y)), trials)
    with pytest.raises(ValueError, match="no complete trial"):
        losses_of_trials(search, [])


def test_a_random_search_begins_like_the_tuned_one_and_goes_its_own_way(
    search: Search, tmp_path: Path
) -> None:
    tuned = [trial.params for trial in trials_of(search)]
    at_random = replace(
        search, storage=tmp_path / "r.journal", study_name="decision_tree-random", sampler="random"
    )
    drawn = [trial.params for trial in trials_of(at_random)]
    assert drawn[:FIRST_AT_RANDOM] == tuned[:FIRST_AT_RANDOM]
    assert drawn[0] == dict(search.kind.defaults)
    assert drawn != tuned
    assert open_study(at_random).user_attrs["sampler"] == "RandomSampler"
    assert open_study(search).user_attrs["sampler"] == "TPESampler"


def test_a_random_search_that_was_cut_off_is_the_same_in_the_end(search: Search, tmp_path: Path) -> None:
    whole = replace(search, storage=tmp_path / "a.journal", sampler="random", n_trials=8)
    cut = replace(whole, storage=tmp_path / "b.journal", n_trials=3)
    run_rounds(cut, n_jobs=1)
    expected = [(t.params, t.state, t.value) for t in trials_of(whole)]
    found = [(t.params, t.state, t.value) for t in trials_of(replace(cut, n_trials=8))]
    assert found == expected
