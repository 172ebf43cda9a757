"""The ladder: each member tuned within folds, fitted once, timed, saved, and its predictions written [edge].

A method that fails is kept: its error is recorded and chance is written in its place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.choice import question_probabilities
from ensembles.oof import out_of_fold
from ensembles.oof_store import OofStore
from ensembles.registry import MEMBERS
from ensembles.search import open_storage
from ensembles.tuning import tune
from llava_core.errors import InputError
from studies.catalog.folds import FoldMatrices
from studies.catalog.ground import Encoded, Ground, save_prediction
from studies.catalog.saved import Needs, save_method
from studies.catalog.sharing import SEARCHES
from studies.files import remove, write_npy
from studies.progress import Progress
from studies.rundir import Facts, digest
from studies.spec.ensemble import JOURNAL

LADDER = ("decision_tree", "random_forest", "xgboost", "lightgbm", "forest_of_xgboost")
OOF = "oof"
"""Folder of out-of-fold predictions, those that tuning kept included."""
Params = Mapping[str, Any]


def try_method(
    ground: Ground, name: str, do: Callable[[], Facts], *, models: Sequence[str] = (), **inputs: object
) -> Facts:
    """Run a method as a step; where it fails, record the error and write chance in its place.

    A full disk and bad input are no failure of the method: they stop the run.

    Parameters
    ----------
    ground : Ground
    name : str
    do : callable
        Writes the predictions (`save_prediction`) and the models, returns the costs.
    models : sequence of str
        Folders that it writes, relative to the run folder.
    **inputs
        What the method depends on beside the ground.
    """

    def attempt() -> Facts:
        try:
            facts = do()
        except (OSError, InputError, MemoryError):
            raise
        except Exception as error:
            save_prediction(ground, name, prob=chance(ground))
            for model in models:
                (ground.run.path / model).mkdir(parents=True, exist_ok=True)
            return {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        return {"status": "ok", "error": None, **facts}

    outputs = [ground.place("steps", name, ".parquet"), *models]
    return ground.step(f"fit.{name}", attempt, outputs=outputs, **inputs)


def chance(ground: Ground) -> NDArray[np.float64]:
    """Return equal probabilities for the options of each scored question."""
    sizes = np.bincount(ground.scored.questions)
    return np.asarray(1.0 / sizes[ground.scored.questions], dtype=np.float64)


def oof_store(ground: Ground) -> OofStore:
    """Return the run's store of out-of-fold predictions."""
    return OofStore(ground.run.path / OOF / "folds")


def tune_member(
    ground: Ground,
    name: str,
    folds: Callable[[], FoldMatrices],
    progress: Progress,
    *,
    blocks: Sequence[str],
) -> Facts:
    """Tune a member within the folds; return its parameters, its scores there and the journal's place.

    A member that cannot be tuned keeps its defaults, and its error is told.

    Parameters
    ----------
    ground : Ground
    name : str
        Key of `ensembles.registry.MEMBERS`.
    folds : callable
        Gives the folds; asked only if there is something left to tune.
    progress : Progress
    blocks : sequence of str
        Blocks that the member sees.
    """
    spec, rows = ground.spec, ground.fitted
    if spec.trials == 0:
        defaults = {**MEMBERS[name].defaults, **fixed_params(ground, name)}
        return {"params": defaults, "n_trials": 0, "seconds": 0.0, "journal": None}
    journal = f"optuna/{name}.journal"
    url = None if spec.storage == JOURNAL else spec.storage

    def do() -> Facts:
        (ground.run.path / "optuna").mkdir(exist_ok=True)
        encoded = folds().of(blocks)
        tick = progress.stage(f"tune {name}")
        begun = perf_counter()
        try:
            tuned = tune(
                name,
                rows.frame,
                rows.y,
                questions=rows.questions,
                groups=rows.groups,
                folds=encoded,
                n_trials=spec.trials,
                seed=spec.seed,
                storage=ground.run.path / journal if url is None else url,
                share=ground.run.path / SEARCHES / name if spec.storage else None,
                study_name=None if url is None else f"{_token(ground)}-{name}",
                store=oof_store(ground),
                fixed=fixed_params(ground, name),
                n_jobs=spec.jobs,
                progress=tick,
                timeout_s=spec.tune_timeout_s,
            )
        except ValueError as error:
            return {"params": dict(MEMBERS[name].defaults), "journal": journal, "error": str(error)}
        facts = {field.name: getattr(tuned, field.name) for field in fields(tuned)}
        if url is not None:
            _copy_study(tuned.study_name, url, ground.run.path / journal)
        for left_out in ("oof_prob", "oof_fit_s"):
            del facts[left_out]
        facts["one_standard_error"] = asdict(tuned.one_standard_error)
        facts["at_edge"] = [asdict(parameter) for parameter in tuned.at_edge]
        return {**facts, "seconds": perf_counter() - begun, "journal": journal}

    return ground.step(
        f"tune.{name}",
        do,
        outputs=[journal],
        blocks=list(blocks),
        trials=spec.trials,
        timeout_s=spec.tune_timeout_s,
        shared=spec.storage is not None,
        device=spec.device,
    )


def fixed_params(ground: Ground, member: str) -> dict[str, Any]:
    """Return what the run decides for a member beside its tuned parameters."""
    device = ground.spec.device
    return {"device": device} if device != "cpu" and MEMBERS[member].takes_device else {}


def predict_out_of_fold(
    ground: Ground,
    name: str,
    folds: Callable[[], FoldMatrices],
    *,
    member: str,
    params: Params,
    blocks: Sequence[str],
) -> tuple[NDArray[np.float64], float]:
    """Return a member's probabilities for the fitted rows, by models that did not see them, and the seconds.

    NaN where no fold of `Ground.oof_folds` judges the row. What tuning or another stack has predicted on the
    same folds is read, not fitted again.

    Parameters
    ----------
    ground : Ground
    name : str
        Name of the method.
    folds : callable
        Gives the folds of `Ground.oof_folds`; asked only if there is something to fit.
    member : str
        Key of `ensembles.registry.MEMBERS`.
    params : mapping
    blocks : sequence of str
    """
    path = ground.place(OOF, name, ".npy")

    def do() -> Facts:
        rows = ground.fitted
        found = out_of_fold(
            MEMBERS[member].make(params, seed=ground.spec.seed, n_jobs=ground.spec.jobs),
            rows.y,
            questions=rows.questions,
            groups=rows.groups,
            folds=folds().of(blocks),
            predict=oof_store(ground).predict_fold,
        )
        write_npy(ground.run.path / path, found.prob)
        return {"seconds": found.fit_s}

    facts = ground.step(
        f"oof.{name}", do, outputs=[path], member=member, params=dict(params), blocks=list(blocks)
    )
    return np.load(ground.run.path / path), float(facts["seconds"])


def fit_member(
    ground: Ground,
    encoded: Encoded,
    name: str,
    *,
    member: str,
    params: Params,
    blocks: Sequence[str],
    save: bool = True,
) -> Facts:
    """Fit one member on the encoded rows of some blocks, write its predictions and, if wanted, its model.

    Parameters
    ----------
    ground : Ground
    encoded : Encoded
    name : str
        Name of the method that results.
    member : str
        Key of `ensembles.registry.MEMBERS`.
    params : mapping
        Tuned parameters.
    blocks : sequence of str
        Blocks of features it sees.
    save : bool
        Whether `studies predict` is to offer it.
    """
    folder = ground.place("models", name)

    def do() -> Facts:
        columns = encoded.columns(blocks)
        train, test = encoded.fitted[:, columns], encoded.scored[:, columns]
        estimator = MEMBERS[member].make(params, seed=ground.spec.seed, n_jobs=ground.spec.jobs)
        begun = perf_counter()
        estimator.fit(train, ground.fitted.y, groups=ground.fitted.groups, questions=ground.fitted.questions)
        fitted = perf_counter()
        score = estimator.predict_proba(test, questions=ground.scored.questions)[:, 1]
        prob = question_probabilities(score, ground.scored.questions)
        facts = {
            "fit_s": fitted - begun,
            "predict_s": perf_counter() - fitted,
            "n_features": len(columns),
            "size_bytes": None,
        }
        save_prediction(ground, name, prob=prob)
        if save:
            needs = Needs(
                columns=tuple(columns.tolist()), captions=ground.captions, store=ground.store_origin
            )
            facts["size_bytes"] = save_method(ground.run.path / folder, estimator, needs)
        return facts

    return try_method(
        ground,
        name,
        do,
        models=[folder] if save else [],
        member=member,
        params=dict(params),
        blocks=list(blocks),
    )


def _token(ground: Ground) -> str:
    """Return what tells the studies of this run from those of others in the same database."""
    return digest({**ground.key, "run": str(ground.run.path.resolve())})[:12]


def _copy_study(name: str, url: str, journal: Path) -> None:
    """Keep a copy of a study in the run folder, where the report reads it."""
    import optuna

    remove(journal)
    optuna.copy_study(from_study_name=name, from_storage=open_storage(url), to_storage=open_storage(journal))
