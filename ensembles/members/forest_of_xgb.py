"""A forest of XGBoosts: M boosted ensembles in parallel, each on a bootstrap sample of question families.

Bagging draws families, not rows: with rows, the siblings of an out-of-bag option are in the bag, and its
out-of-bag score says the opposite of the truth (a test shows it).
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from ensembles.members import xgb
from ensembles.members.rows import RowClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {**xgb.DEFAULTS, "n_estimators": 90, "n_members": 8}
MOST_DRAWS = 200


class ForestOfXGBoost(RowClassifier):
    """XGBoosts bagged over families; probabilities are averaged.

    Parameters
    ----------
    estimator : XGBClassifier
        Cloned for each member, with a seed of its own.
    n_members : int
    seed : int
    n_jobs : int
        Members that are fitted at the same time; the result does not depend on it.

    Attributes
    ----------
    estimators_ : list of XGBClassifier
    oob_prob_ : ndarray, shape (n_rows, n_classes)
        Mean over the members whose bag misses the row's family; NaN where there is none.
    """

    def __init__(self, estimator: Any, *, n_members: int = 8, seed: int = 0, n_jobs: int = 1) -> None:
        super().__init__(estimator)
        self.n_members = n_members
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        questions: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit all members; without ``groups`` every question, or row, is a family of its own.

        Raises
        ------
        ValueError
            As `RowClassifier.fit`, and if bags of families keep missing a class.
        """
        matrix, labels = self._checked(X, y, groups, questions)
        own = np.arange(len(labels)) if questions is None else questions
        families = np.unique(own if groups is None else groups, return_inverse=True)[1]
        weight = self._checked_weights(sample_weight, matrix, labels)
        seeds = np.random.SeedSequence(self.seed).spawn(self.n_members)
        counts = [_bag(families, labels, np.random.default_rng(child)) for child in seeds]
        # Threads: XGBoost releases the interpreter lock, and the matrix is shared instead of copied.
        self.estimators_ = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_fit_member)(self.estimator, matrix, labels, weight * count, self.seed * 1009 + k)
            for k, count in enumerate(counts)
        )
        sums = np.zeros((len(labels), len(self.classes_)))
        n_voters = np.zeros(len(labels))
        for member, count in zip(self.estimators_, counts, strict=True):
            out = np.flatnonzero(count == 0)
            if len(out):
                sums[out] += member.predict_proba(matrix[out])
                n_voters[out] += 1
        self.oob_prob_ = np.full(sums.shape, np.nan)
        seen = n_voters > 0
        self.oob_prob_[seen] = sums[seen] / n_voters[seen, None]
        return self

    def predict_proba(self, X: ArrayLike, *, questions: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the mean probability of each class, (n_rows, n_classes); questions do not change it."""
        check_is_fitted(self, "estimators_")
        matrix = validate_data(self, X, reset=False, dtype=np.float32, ensure_all_finite="allow-nan")
        each = [member.predict_proba(matrix) for member in self.estimators_]
        return np.asarray(np.mean(each, axis=0, dtype=np.float64))

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> ForestOfXGBoost:
    """Return an unfitted forest of ``n_members`` XGBoosts, ``n_jobs`` at a time with one thread each."""
    inner = {**DEFAULTS, **params}
    n_members = inner.pop("n_members")
    return ForestOfXGBoost(
        xgb.booster(inner, seed=seed, n_jobs=1), n_members=n_members, seed=seed, n_jobs=n_jobs
    )


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space: shorter boosters than XGBoost alone, since the mean over bags is smooth."""
    return {
        "n_estimators": trial.suggest_int("n_estimators", 30, 150),
        "learning_rate": trial.suggest_float("learning_rate", 0.04, 0.3, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 7),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 30.0, log=True),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.15, 0.9),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.3, 30.0, log=True),
    }


def complexity(params: Mapping[str, Any]) -> float:
    """Return the most leaves of all trees."""
    return float(params["n_members"] * xgb.complexity(params))


def _bag(
    families: NDArray[np.intp], labels: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how often each row is drawn; draws again in the rare case that a class is left out."""
    n_families, n_classes = int(families.max()) + 1, len(np.unique(labels))
    for _ in range(MOST_DRAWS):
        drawn = np.bincount(rng.integers(n_families, size=n_families), minlength=n_families)[families]
        if len(np.unique(labels[drawn > 0])) == n_classes:
            return drawn.astype(np.float64)
    raise ValueError(
        f"got {n_classes} classes in {n_families} families, of which {MOST_DRAWS} bags all missed a class; "
        "expected classes that lie in more families"
    )


def _fit_member(
    estimator: Any, matrix: NDArray[np.float32], labels: NDArray[np.int64], weight: NDArray[Any], seed: int
) -> Any:
    from sklearn.base import clone

    member = clone(estimator).set_params(random_state=seed)
    drawn = weight > 0
    return member.fit(matrix[drawn], labels[drawn], sample_weight=weight[drawn])
