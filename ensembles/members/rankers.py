"""Gradient boosting that ranks the options of a question: LambdaMART in XGBoost and in LightGBM.

Source: Burges (2010), From RankNet to LambdaRank to LambdaMART; both with pairs of a right and a wrong option
of one question.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ensembles.members import lgbm, xgb
from ensembles.members.utility import UtilityClassifier, question_weights


class XGBUtility(BaseEstimator):
    """Utility by XGBoost's ranker.

    Parameters
    ----------
    params : dict
        Of `xgboost.XGBRanker`.
    """

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self.params = params

    def fit_utility(
        self,
        X: NDArray[np.float32],
        y: NDArray[np.int64],
        *,
        questions: NDArray[np.int64],
        sample_weight: NDArray[np.float64],
    ) -> Self:
        """Fit; the ranker weighs questions, so the mean weight of a question's rows counts."""
        from xgboost import XGBRanker

        self.ranker_ = XGBRanker(
            objective="rank:pairwise",
            tree_method="hist",
            max_bin=64,
            verbosity=0,
            **(self.params or {}),
        )
        self.ranker_.fit(X, y, qid=questions, sample_weight=question_weights(sample_weight, questions))
        return self

    def utility(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the margin of each row, (n_rows,)."""
        return np.asarray(self.ranker_.predict(X), dtype=np.float64)


class LGBMUtility(BaseEstimator):
    """Utility by LightGBM's ranker.

    Parameters
    ----------
    params : dict
        Of `lightgbm.LGBMRanker`.
    """

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self.params = params

    def fit_utility(
        self,
        X: NDArray[np.float32],
        y: NDArray[np.int64],
        *,
        questions: NDArray[np.int64],
        sample_weight: NDArray[np.float64],
    ) -> Self:
        """Fit; LightGBM takes 10,000 rows of one question at most."""
        from lightgbm import LGBMRanker

        self.ranker_ = LGBMRanker(
            max_bin=63, deterministic=True, force_row_wise=True, verbose=-1, **(self.params or {})
        )
        sizes = np.unique(questions, return_counts=True)[1]
        self.ranker_.fit(X, y, group=sizes, sample_weight=sample_weight)
        return self

    def utility(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the score of each row, (n_rows,)."""
        return np.asarray(self.ranker_.predict(X), dtype=np.float64)


def make_xgb(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> UtilityClassifier:
    """Return an unfitted XGBoost ranker with ``n_jobs`` threads."""
    return UtilityClassifier(XGBUtility({**xgb.DEFAULTS, **params, "random_state": seed, "n_jobs": n_jobs}))


def make_lgbm(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> UtilityClassifier:
    """Return an unfitted LightGBM ranker with ``n_jobs`` threads."""
    return UtilityClassifier(LGBMUtility({**lgbm.DEFAULTS, **params, "random_state": seed, "n_jobs": n_jobs}))
