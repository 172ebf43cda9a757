"""The peers behind one signature: (task, budget, seed, threads) -> probabilities of the test rows.

Every peer is asked for log-loss and is else left as its authors ship it; its budget is the one it is told.
Runs in the environment of the peers, and imports each of them in its own function.

autogluon_good, autogluon_best
    The presets ``good_quality`` and ``best_quality``, with row-wise folds. ``extreme_quality`` is left out:
    it wants a GPU and weights to download.
autogluon_good_groups, autogluon_best_groups
    The same, told what folds have to keep together; the column of groups is no feature.
flaml
    Its split type "group" where the task is grouped, stratified otherwise. Its ensemble is left out, since
    that ignores the groups (microsoft/FLAML issue 709), and CatBoost is, which is no part of its extra
    ``automl`` and knows no budget there: of 20 s on wine a single trial took 121. Missing values are
    imputed beforehand, since its SGD fails on them.
mljar
    Mode ``Compete``. It has no groups.
sklearn_stacking
    StackingClassifier with row-wise folds and untuned members; takes the time it takes.
"""

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tasks import Task

Probabilities = NDArray[np.float64]
"""(n_test_rows, n_classes)"""
System = Callable[[Task, float, int, int], Probabilities]


def autogluon(
    task: Task, budget_s: float, seed: int, n_threads: int, *, preset: str, groups: bool
) -> Probabilities:
    """Return what AutoGluon predicts."""
    import pandas as pd
    from autogluon.tabular import TabularPredictor

    train = pd.DataFrame(task.X_train).add_prefix("f")
    test = pd.DataFrame(task.X_test).add_prefix("f")
    told: dict[str, Any] = {}
    learner: dict[str, Any] = {}
    if groups:
        train["group"] = task.groups_train
        told["validation_structure"] = {"group_on": "group"}
        # The column would else stay a feature, and test has other groups.
        learner["ignored_columns"] = ["group"]
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            label="label",
            eval_metric="log_loss",
            path=f"{folder}/predictor",
            verbosity=2,
            learner_kwargs=learner,
        )
        predictor.fit(
            train.assign(label=task.y_train),
            presets=preset,
            time_limit=budget_s,
            num_cpus=n_threads,
            num_gpus=0,
            # Folds of a bag take the seeds that follow; else every run of AutoGluon would be the same.
            ag_args_ensemble={"model_random_seed": 100 * seed},
            **told,
        )
        return predictor.predict_proba(test)[list(range(task.n_classes))].to_numpy(dtype=np.float64)


def flaml(task: Task, budget_s: float, seed: int, n_threads: int) -> Probabilities:
    """Return what FLAML predicts."""
    from flaml import AutoML
    from sklearn.impute import SimpleImputer

    told: dict[str, Any] = {}
    if task.grouped:
        told = {"split_type": "group", "groups": task.groups_train}
    imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(task.X_train)
    search = AutoML()
    search.fit(
        X_train=imputer.transform(task.X_train),
        y_train=task.y_train,
        task="classification",
        metric="log_loss",
        estimator_list=["lgbm", "xgboost", "xgb_limitdepth", "rf", "extra_tree", "sgd", "lrl1"],
        time_budget=budget_s,
        n_jobs=n_threads,
        seed=seed,
        verbose=1,
        **told,
    )
    return np.asarray(search.predict_proba(imputer.transform(task.X_test)), dtype=np.float64)


def mljar(task: Task, budget_s: float, seed: int, n_threads: int) -> Probabilities:
    """Return what mljar-supervised predicts."""
    from supervised import AutoML

    with tempfile.TemporaryDirectory() as folder:
        search = AutoML(
            results_path=f"{folder}/automl",
            total_time_limit=int(budget_s),
            mode="Compete",
            ml_task="multiclass_classification" if task.n_classes > 2 else "binary_classification",
            eval_metric="logloss",
            n_jobs=n_threads,
            random_state=seed,
        )
        search.fit(task.X_train, task.y_train)
        return np.asarray(search.predict_proba(task.X_test), dtype=np.float64)


def sklearn_stacking(task: Task, budget_s: float, seed: int, n_threads: int) -> Probabilities:
    """Return what scikit-learn's stacking of four untuned classifiers predicts; no budget is known to it."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    stack = StackingClassifier(
        [
            ("forest", RandomForestClassifier(random_state=seed, n_jobs=n_threads)),
            ("boosting", HistGradientBoostingClassifier(random_state=seed)),
            ("linear", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
            ("neighbours", make_pipeline(StandardScaler(), KNeighborsClassifier())),
        ]
    )
    # Columns without any value end the fit of its boosting, missing ones that of its neighbours.
    model = make_pipeline(SimpleImputer(keep_empty_features=True), stack)
    model.fit(task.X_train, task.y_train)
    return np.asarray(model.predict_proba(task.X_test), dtype=np.float64)


PEERS: Mapping[str, System] = {
    "autogluon_good": partial(autogluon, preset="good_quality", groups=False),
    "autogluon_good_groups": partial(autogluon, preset="good_quality", groups=True),
    "autogluon_best": partial(autogluon, preset="best_quality", groups=False),
    "autogluon_best_groups": partial(autogluon, preset="best_quality", groups=True),
    "flaml": flaml,
    "mljar": mljar,
    "sklearn_stacking": sklearn_stacking,
}
