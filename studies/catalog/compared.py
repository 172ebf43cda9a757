"""A tuned member against its defaults and a random search of as many trials, on the same folds [edge].

Paired by question and resampled by family. Two figures each: as the trials were chosen, and with the choice
made anew in every resample (`studies.stats.rechosen`). A random search is one study more, with the same
folds, seed, first draws and early stopping; its predictions go into the run's store like all others, and
it goes on where it was cut off. Nothing here is estimated from other trials: what was not run is not told.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.oof import EncodedFold
from ensembles.search import Search, open_storage, run_rounds
from ensembles.trial import Rows
from ensembles.trial_losses import TrialLosses, losses_of_trials
from ensembles.workers import is_lost
from llava_core.data.json_file import read_json_object
from llava_core.errors import InputError
from studies.catalog.folds import FoldMatrices
from studies.catalog.ground import Ground
from studies.catalog.ladder import fixed_params, oof_store
from studies.files import file_hash, write_json
from studies.progress import Progress, Tick
from studies.rundir import Facts
from studies.stats import mean_estimate
from studies.stats.rechosen import FEWEST_FAMILIES, rechosen_estimate

Folds = Callable[[], Sequence[EncodedFold]]


def journal_of(method: str) -> str:
    """Return the place of a member's journal, relative to the run folder."""
    return f"optuna/{method}.journal"


def random_journal_of(method: str) -> str:
    """Return the place of the journal of its random search."""
    return f"optuna/{method}.random.journal"


def comparison_of(method: str) -> str:
    """Return the place of what `compare_members` found."""
    return f"optuna/{method}.compared.json"


def read_comparison(run_path: Path, method: str) -> Facts | None:
    """Return what `compare_members` found of a member, or None.

    Raises
    ------
    InputError
        If the file is broken.
    """
    file = run_path / comparison_of(method)
    if not file.exists():
        return None
    try:
        return read_json_object(file)
    except InputError as error:
        told = f"got a broken comparison; remove the file and ask again ({error.problem})"
        raise InputError(told, path=file) from None


def ended_trials(journal: Path) -> list[Any]:
    """Return the trials of a journal's study that count: those that ended and whose worker did not vanish."""
    import optuna

    # The study's name differs where it was copied from a database.
    (study,) = optuna.get_all_study_names(storage := open_storage(journal))
    trials = optuna.load_study(study_name=study, storage=storage).get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state.is_finished() and not is_lost(trial)]


def compare_members(
    ground: Ground,
    members: Sequence[str],
    folds: Callable[[], FoldMatrices],
    progress: Progress,
    *,
    blocks: Sequence[str],
) -> None:
    """Compare each tuned member with its defaults, and with its random search where there is one.

    Writes `comparison_of` each. Parameters as those of `studies.catalog.ladder.tune_member`.

    Raises
    ------
    InputError
        If trials do not come to the scores in their journals any more.
    """
    tick = progress.stage("compare the trials")
    seen = _of_blocks(folds, blocks)
    for place, name in enumerate(members):
        journals = [journal_of(name), *([random_journal_of(name)] if _is_searched(ground, name) else [])]
        ground.step(
            f"compare.{name}",
            lambda name=name: _compare(ground, name, seen),  # type: ignore[misc]
            outputs=[comparison_of(name)],
            blocks=list(blocks),
            journals=[file_hash(ground.run.path / file) for file in journals],
            level=ground.spec.level,
            n_boot=ground.spec.n_boot,
        )
        tick(place + 1, len(members))


def search_at_random(
    ground: Ground,
    members: Sequence[str],
    folds: Callable[[], FoldMatrices],
    progress: Progress,
    *,
    blocks: Sequence[str],
) -> None:
    """Run a random search of each member with as many trials as its tuning had; one that was cut off goes on.

    Parameters as those of `studies.catalog.ladder.tune_member`.
    """
    seen = _of_blocks(folds, blocks)

    def search(name: str, n_trials: int, tick: Tick) -> Facts:
        at_random = replace(
            _search(ground, name, seen()),
            storage=ground.run.path / random_journal_of(name),
            study_name=f"{name}-random",
            n_trials=n_trials,
            sampler="random",
        )
        run_rounds(at_random, n_jobs=ground.spec.jobs, progress=tick)
        return {"n_trials": n_trials}

    for name in members:
        n_trials = len(ended_trials(ground.run.path / journal_of(name)))
        tick = progress.stage(f"random search: {name}")
        ground.step(
            f"random.{name}",
            lambda name=name, n=n_trials, tick=tick: search(name, n, tick),  # type: ignore[misc]
            outputs=[random_journal_of(name)],
            blocks=list(blocks),
            trials=n_trials,
            device=ground.spec.device,
        )


def _of_blocks(folds: Callable[[], FoldMatrices], blocks: Sequence[str]) -> Folds:
    return cache(lambda: folds().of(blocks))


def _search(ground: Ground, name: str, folds: Sequence[EncodedFold]) -> Search:
    """Return the search that tuned a member, as far as it decides what a trial comes to."""
    return Search(
        member=name,
        rows=Rows(y=ground.fitted.y, questions=ground.fitted.questions, groups=ground.fitted.groups),
        folds=folds,
        n_trials=0,
        seed=ground.spec.seed,
        storage=ground.run.path / journal_of(name),
        study_name=name,
        store=oof_store(ground),
        fixed=fixed_params(ground, name),
    )


def _compare(ground: Ground, name: str, folds: Folds) -> Facts:
    path = ground.run.path
    tuned = _losses(ground, name, folds, journal_of(name))
    drawn = _losses(ground, name, folds, random_journal_of(name)) if _is_searched(ground, name) else None
    chosen = tuned.losses[tuned.best]
    default = tuned.losses[:1] if tuned.numbers[0] == 0 else None
    found = {
        "n_questions": len(chosen),
        "n_families": len(np.unique(tuned.families)),
        "n_complete": len(tuned.numbers),
        "trial": tuned.numbers[tuned.best],
        "chosen": _mean(ground, chosen, tuned.families),
        "rechosen": _rechosen(ground, tuned.losses, tuned.families),
        "default": None,
        "random": None,
    }
    if default is not None:
        found["default"] = {"trial": 0, **_against(ground, tuned, default)}
    if drawn is not None:
        ended = ended_trials(path / random_journal_of(name))
        known = [_drawn(trial) for trial in ended_trials(path / journal_of(name))]
        states = [trial.state.name for trial in ended]
        found["random"] = {
            "trial": drawn.numbers[drawn.best],
            "n_trials": len(ended),
            "n_pruned": states.count("PRUNED"),
            "n_failed": states.count("FAIL"),
            "n_shared": sum(_drawn(trial) in known for trial in ended),
            "fit_s": sum(float(trial.user_attrs.get("fit_s", 0.0)) for trial in ended),
            **_against(ground, tuned, drawn.losses),
        }
    write_json(path / comparison_of(name), found)
    return {}


def _losses(ground: Ground, name: str, folds: Folds, journal: str) -> TrialLosses:
    file = ground.run.path / journal
    try:
        return losses_of_trials(_search(ground, name, folds()), ended_trials(file), n_jobs=ground.spec.jobs)
    except ValueError as error:
        raise InputError(str(error), path=file) from None


def _against(ground: Ground, tuned: TrialLosses, rivals: NDArray[np.float64]) -> Facts:
    """Hold the tuned trials against one rival, or the best of several; negative: tuning lost less."""
    rival = rivals[int(rivals.mean(axis=1).argmin())]
    return {
        "value": float(rival.mean()),
        "difference": _mean(ground, tuned.losses[tuned.best] - rival, tuned.families),
        "rechosen": _rechosen(ground, tuned.losses, tuned.families, rivals=rivals),
    }


def _mean(ground: Ground, values: NDArray[np.float64], families: NDArray[Any]) -> Facts:
    spec = ground.spec
    return asdict(mean_estimate(values, families, level=spec.level, n_boot=spec.n_boot, seed=spec.seed))


def _rechosen(
    ground: Ground,
    losses: NDArray[np.float64],
    families: NDArray[Any],
    *,
    rivals: NDArray[np.float64] | None = None,
) -> Facts | None:
    if len(np.unique(families)) < FEWEST_FAMILIES:
        return None
    spec = ground.spec
    found = rechosen_estimate(
        losses, families, rivals=rivals, level=spec.level, n_boot=spec.n_boot, seed=spec.seed
    )
    return asdict(found)


def _drawn(trial: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(trial.params.items()))


def _is_searched(ground: Ground, name: str) -> bool:
    """Whether the random search of a member has come to its end."""
    return ground.run.is_done(f"random.{name}")
