"""Level 1 of a stack: a conditional logit over what the members and other scores say of each option.

It sees only out-of-fold probabilities of the members. With a context, a column of 0 and 1 that is the same
for all options of a question (whether there is an image), every weight is learned twice: which member is to
be trusted may depend on it.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ensembles.choice import question_index, question_log_loss, question_probabilities
from ensembles.members.conditional_logit import ConditionalLogit
from ensembles.splits import family_folds

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Ridge penalties; chosen by the log-loss of held-out families."""


class LevelOne(BaseEstimator):
    """Joins columns of probabilities and of scores into one probability per option.

    It reads columns by name, and questions; the estimator around it is `ensembles.stacking.OptionStacking`.

    Parameters
    ----------
    probs : sequence of str
        Columns of probabilities; their logarithm within the question counts.
    scores : sequence of str
        Columns that count as they are, e.g. log-likelihoods; NaN is a score that is not there.
    context : str, optional
        Column of 0 and 1, the same within a question, that each weight may depend on.
    n_folds : int
        Family folds that the penalty is chosen on; fewer where there are fewer families.
    seed : int
        Of the folds.

    Attributes
    ----------
    weights_ : dict of str to list of float
        Of each column, on the standardised scale; with a context, its weights at 0 and at 1.
    penalty_ : float
    """

    def __init__(
        self,
        *,
        probs: Sequence[str],
        scores: Sequence[str] = (),
        context: str | None = None,
        n_folds: int = 4,
        seed: int = 0,
    ) -> None:
        self.probs = probs
        self.scores = scores
        self.context = context
        self.n_folds = n_folds
        self.seed = seed

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        questions: ArrayLike,
        groups: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Choose the penalty on held-out families, then fit on all rows.

        Parameters
        ----------
        X : DataFrame, shape (n_rows, n_columns)
            Out-of-fold probabilities, never those of members fitted on these rows.
        y : array of int, shape (n_rows,)
            1 for the one right option of each question.
        questions, groups : array of int, shape (n_rows,)
        sample_weight : array of float, shape (n_rows,), optional
            That of its right option is a question's.
        """
        inputs, labels, ids = self._inputs(X, questions), np.asarray(y), np.asarray(questions)
        weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        self.classes_ = np.array([0, 1])
        n_folds = min(self.n_folds, len(np.unique(np.asarray(groups))))
        folds = family_folds(groups, n_folds=n_folds, seed=self.seed)
        losses = []
        for penalty in PENALTIES:
            total = 0.0
            for learn, judge in folds:
                model = ConditionalLogit(penalty=penalty).fit_utility(
                    inputs[learn], labels[learn], questions=ids[learn], sample_weight=weight[learn]
                )
                prob = model.predict_proba(inputs[judge], questions=ids[judge])[:, 1]
                of_question = np.bincount(question_index(ids[judge]), weights=weight[judge] * labels[judge])
                total += float(of_question @ question_log_loss(prob, ids[judge], labels[judge]))
            losses.append(total)
        self.penalty_ = PENALTIES[int(np.argmin(losses))]
        self.model_ = ConditionalLogit(penalty=self.penalty_).fit_utility(
            inputs, labels, questions=ids, sample_weight=weight
        )
        names = [*self.probs, *self.scores]
        by_context = self.model_.coef_.reshape(-1, len(names))
        self.weights_ = {name: by_context[:, place].tolist() for place, name in enumerate(names)}
        return self

    def predict_proba(self, X: pd.DataFrame, *, questions: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that each option is not the right one, and that it is: (n_rows, 2)."""
        check_is_fitted(self, "model_")
        return self.model_.predict_proba(self._inputs(X, questions), questions=questions)

    def _inputs(self, X: pd.DataFrame, questions: ArrayLike) -> NDArray[Any]:
        columns = [np.log(question_probabilities(X[name].to_numpy(), questions)) for name in self.probs]
        columns += [X[name].to_numpy(dtype=np.float64) for name in self.scores]
        inputs = np.stack(columns, axis=1)
        if self.context is None:
            return inputs
        holds = X[self.context].to_numpy(dtype=np.float64)[:, None]
        return np.hstack([inputs * (1 - holds), inputs * holds])
