"""Out-of-fold predictions that last: what hits, what misses, and what is fitted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from ensembles.members.rows import RowClassifier
from ensembles.oof import EncodedFold, encode_folds, out_of_fold
from ensembles.oof_store import OofStore, entry_key
from ensembles.persist import load_model, save_model
from ensembles.registry import MEMBERS
from ensembles.splits import family_folds
from ensembles.stacking import OptionStacking
from ensembles.tuning import tune

N_QUESTIONS = 60


@pytest.fixture
def rows() -> dict[str, NDArray]:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(N_QUESTIONS), 3)
    y = np.zeros(len(questions), dtype=np.int64)
    y[np.arange(N_QUESTIONS) * 3 + rng.integers(3, size=N_QUESTIONS)] = 1
    X = rng.normal(size=(len(questions), 4)).astype(np.float32)
    X[:, 0] += y
    return {"X": X, "y": y, "questions": questions, "groups": questions // 2}


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the estimators that were fitted, in order."""
    done: list[str] = []
    fit = RowClassifier.fit

    def counted(self, *args, **kwargs):
        done.append(type(self.estimator).__name__)
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(RowClassifier, "fit", counted)
    return done


def make(name: str, **params):
    return MEMBERS[name].make(params, seed=0, n_jobs=1)


def fold_of(rows: dict[str, NDArray]) -> EncodedFold:
    splits = family_folds(rows["groups"], n_folds=3, seed=0)
    return encode_folds(rows["X"], rows["y"], groups=rows["groups"], folds=splits)[0]


def of_rows(rows: dict[str, NDArray]) -> dict[str, NDArray]:
    return {name: rows[name] for name in ("y", "questions", "groups")}


def test_a_key_holds_all_that_a_prediction_depends_on(rows: dict[str, NDArray]) -> None:
    fold = fold_of(rows)
    key = entry_key(make("decision_tree"), fold, **of_rows(rows))

    def changed(array: NDArray, place: int = 0) -> NDArray:
        other = array.copy()
        other.flat[place] += 1
        return other

    y = rows["y"].copy()
    y[fold.train[:3]] = np.roll(y[fold.train[:3]], 1)
    others = [
        entry_key(make("decision_tree", max_depth=2), fold, **of_rows(rows)),
        entry_key(MEMBERS["decision_tree"].make({}, seed=1, n_jobs=1), fold, **of_rows(rows)),
        entry_key(make("extra_trees"), fold, **of_rows(rows)),
        entry_key(make("decision_tree"), replace(fold, X_train=changed(fold.X_train)), **of_rows(rows)),
        entry_key(make("decision_tree"), replace(fold, X_held_out=changed(fold.X_held_out)), **of_rows(rows)),
        entry_key(make("decision_tree"), replace(fold, held_out=fold.held_out[::-1]), **of_rows(rows)),
        entry_key(make("decision_tree"), fold, **{**of_rows(rows), "y": y}),
        entry_key(make("decision_tree"), fold, **{**of_rows(rows), "groups": rows["groups"] + 1}),
    ]
    assert len({key, *others}) == len(others) + 1
    assert key == entry_key(make("decision_tree"), fold, **of_rows(rows))


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_the_number_of_workers_is_no_part_of_a_key(rows: dict[str, NDArray], name: str) -> None:
    one, two = (
        entry_key(MEMBERS[name].make({}, seed=0, n_jobs=n_jobs), fold_of(rows), **of_rows(rows))
        for n_jobs in (1, 2)
    )
    assert one == two


def test_what_is_kept_is_what_was_found(rows: dict[str, NDArray], tmp_path: Path, fits: list[str]) -> None:
    splits = family_folds(rows["groups"], n_folds=3, seed=0)
    folds = encode_folds(rows["X"], rows["y"], groups=rows["groups"], folds=splits)
    plain = out_of_fold(make("xgboost"), folds=folds, **of_rows(rows))
    for store in (OofStore(tmp_path / "oof"), OofStore(tmp_path / "oof"), OofStore()):
        found = out_of_fold(make("xgboost"), folds=folds, **of_rows(rows), predict=store.predict_fold)
        np.testing.assert_array_equal(found.prob, plain.prob)
        again = out_of_fold(make("xgboost"), folds=folds, **of_rows(rows), predict=store.predict_fold)
        assert (again.prob == plain.prob).all()
        assert again.fit_s == found.fit_s
    assert len(fits) == 3 + 3 + 3


def test_an_entry_that_is_cut_off_is_refused(rows: dict[str, NDArray], tmp_path: Path) -> None:
    store = OofStore(tmp_path)
    store.predict_fold(make("decision_tree"), fold_of(rows), **of_rows(rows))
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"\.npz is no whole entry of out-of-fold predictions"):
        store.predict_fold(make("decision_tree"), fold_of(rows), **of_rows(rows))


def test_tuning_and_every_stack_fit_each_fold_once(
    rows: dict[str, NDArray], tmp_path: Path, fits: list[str]
) -> None:
    store, n_folds = OofStore(tmp_path / "oof"), 3
    tuned = tune(
        "decision_tree",
        rows["X"],
        **of_rows(rows),
        folds=family_folds(rows["groups"], n_folds=n_folds, seed=0),
        n_trials=1,
        seed=0,
        storage=tmp_path / "journal",
        store=store,
    )
    assert len(fits) == n_folds
    members = [("tree", make("decision_tree", **tuned.params)), ("extra", make("extra_trees"))]

    def stack(**settings) -> OptionStacking:
        del fits[:]
        made = OptionStacking(members, n_folds=n_folds, seed=0, store=store, **settings)
        return made.fit(rows["X"], **of_rows(rows))

    first = stack()
    np.testing.assert_array_equal(first.oof_[:, 0], tuned.oof_prob)
    # Three folds of the forest, and both members once more on all rows.
    assert sorted(fits) == ["DecisionTreeClassifier"] + 4 * ["ExtraTreesClassifier"]
    for settings in ({"joined_by": "greedy"}, {"blend": True}, {}):
        stack(**settings)
        assert sorted(fits) == ["DecisionTreeClassifier", "ExtraTreesClassifier"]
    stack(served="folds")
    assert len(fits) == n_folds * len(members)


def test_a_stack_that_used_a_store_is_saved_without_it(rows: dict[str, NDArray], tmp_path: Path) -> None:
    for store in (OofStore(tmp_path / "oof"), OofStore()):
        stack = OptionStacking([("tree", make("decision_tree"))], n_folds=3, store=store)
        stack.fit(rows["X"], **of_rows(rows))
        save_model(stack, tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        np.testing.assert_array_equal(
            loaded.predict_proba(rows["X"], questions=rows["questions"]),
            stack.predict_proba(rows["X"], questions=rows["questions"]),
        )
        assert loaded.store.path == store.path


def test_a_clone_reads_the_same_store_and_fold_models_fill_it(
    rows: dict[str, NDArray], fits: list[str]
) -> None:
    members = [("tree", make("decision_tree")), ("linear", make("linear"))]
    folds = OptionStacking(members, n_folds=3, served="folds", store=OofStore())
    folds.fit(rows["X"], **of_rows(rows))
    assert len(fits) == 6
    # Two refits on all rows, and no fold.
    clone(folds).set_params(served="refit").fit(rows["X"], **of_rows(rows))
    assert len(fits) == 8
