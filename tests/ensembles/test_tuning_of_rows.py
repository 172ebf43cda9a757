"""Tuning rows that are no options: classes of any kind, in folds by class, alone and in another process."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss

from ensembles.oof import encode_folds
from ensembles.oof_store import OofStore
from ensembles.registry import MEMBERS
from ensembles.search import Search, open_study
from ensembles.splits import class_folds
from ensembles.stacking import OptionStacking
from ensembles.trial import Rows
from ensembles.tuning import tune
from ensembles.workers import join, load_search, save_search

SEED, N_FOLDS = 3, 4
X, LABELS = load_wine(return_X_y=True)
NAMES = np.array(["barolo", "grignolino", "barbera"])[LABELS]


def search_of(member: str, folder: Path, **settings):
    codes = np.unique(NAMES, return_inverse=True)[1]
    folds = class_folds(codes, n_folds=N_FOLDS, seed=SEED)
    return tune(
        member, X, NAMES, folds=folds, n_trials=3, seed=SEED, storage=folder / f"{member}.journal", **settings
    )  # fmt: skip


@pytest.mark.parametrize("member", ["linear", "neighbours", "xgboost"])
def test_the_loss_is_that_of_the_rows(member: str, tmp_path: Path) -> None:
    found = search_of(member, tmp_path)
    assert found.oof_prob.shape == (len(X), 3)
    assert found.inner_log_loss <= found.default_inner_log_loss
    prob = found.oof_prob / found.oof_prob.sum(axis=1, keepdims=True)
    expected = log_loss(NAMES, np.maximum(prob, 1e-9), labels=np.unique(NAMES))
    assert found.inner_log_loss == pytest.approx(expected, abs=1e-6)
    right = (np.unique(NAMES)[found.oof_prob.argmax(axis=1)] == NAMES).mean()
    assert found.inner_accuracy == pytest.approx(right, abs=0.02)


def test_a_stack_of_tuned_members_fits_no_fold_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = OofStore(tmp_path / "oof")
    members = []
    for name in ("linear", "decision_tree"):
        tuned = search_of(name, tmp_path, store=store)
        members.append((name, MEMBERS[name].make(tuned.params, seed=SEED, n_jobs=1)))
    n_kept = len(list((tmp_path / "oof").iterdir()))
    calls: list[int] = []
    kept = OofStore._write
    monkeypatch.setattr(OofStore, "_write", lambda *a: (calls.append(1), kept(*a)))
    stack = OptionStacking(members, n_folds=N_FOLDS, seed=SEED, store=store)
    stack.fit(X.astype(np.float32), NAMES)
    assert calls == []
    assert len(list((tmp_path / "oof").iterdir())) == n_kept
    assert log_loss(NAMES, stack.predict_proba(X)) < 0.2


def test_a_worker_reads_such_a_search(tmp_path: Path) -> None:
    folds = class_folds(LABELS, n_folds=2, seed=0)
    whole = tune("linear", X, LABELS, folds=folds, n_trials=1, seed=0, storage=tmp_path / "alone")
    search = Search(
        member="linear",
        rows=Rows(y=LABELS, questions=None, groups=np.arange(len(LABELS))),
        folds=encode_folds(X, LABELS, groups=np.arange(len(LABELS)), folds=folds),
        n_trials=1,
        seed=0,
        storage=tmp_path / "shared",
        study_name="linear",
        store=OofStore(),
    )
    study = open_study(search)
    assert join(load_search(save_search(search, tmp_path / "search"))) == 1
    assert study.trials[0].value == whole.inner_log_loss


def test_one_class_and_wrong_lengths_are_refused(tmp_path: Path) -> None:
    folds = class_folds(LABELS, n_folds=2, seed=0)
    given = {"folds": folds, "n_trials": 1, "seed": 0, "storage": tmp_path / "journal"}
    with pytest.raises(ValueError, match="got 1 class"):
        tune("linear", X, np.zeros(len(X)), **given)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        tune("linear", X, LABELS, groups=np.arange(5), **given)
    with pytest.raises(ValueError, match="NaN"):
        tune("linear", X, np.where(LABELS == 0, np.nan, 1.0), **given)


def test_a_budget_that_is_spent_leaves_the_defaults_judged(tmp_path: Path) -> None:
    folds = class_folds(LABELS, n_folds=2, seed=0)
    found = tune(
        "linear", X, LABELS, folds=folds, n_trials=1000, seed=0, storage=tmp_path / "journal", timeout_s=1e-6
    )  # fmt: skip
    assert found.default_inner_log_loss == found.inner_log_loss
    assert found.n_trials < 1000
    assert not found.reproducible
