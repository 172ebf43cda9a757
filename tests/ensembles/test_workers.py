"""Trials shared among processes: none is lost, none is told twice, whoever is killed."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import numpy as np
import optuna
import pytest

from ensembles import workers
from ensembles.oof import encode_folds
from ensembles.oof_store import OofStore
from ensembles.registry import find_member
from ensembles.search import Search, open_storage, open_study, tell
from ensembles.splits import family_folds
from ensembles.trial import Judged, Rows
from ensembles.tuning import Tuned, tune
from ensembles.workers import is_lost, join, load_search, run_shared, save_search

N_TRIALS = 12
WORKER = """
import sys, time; from pathlib import Path; from ensembles import workers
workers.BEAT_S, workers.PATIENCE_S, workers.judge_one = 0.2, 2.0, {judge}
file = Path(sys.argv[1])
print(workers.join(workers.load_search(file)), flush=True)
"""
Storage = Path | str


@pytest.fixture
def search(tmp_path: Path) -> Search:
    rng = np.random.default_rng(0)
    n = 80
    questions = np.repeat(np.arange(n), 3)
    y = np.zeros(len(questions), dtype=np.int64)
    y[np.arange(n) * 3 + rng.integers(3, size=n)] = 1
    X = rng.normal(size=(len(questions), 5)).astype(np.float32)
    X[:, 0] += y
    groups = questions // 2
    splits = family_folds(groups, n_folds=3, seed=0)
    return Search(
        member="xgboost",
        rows=Rows(y=y, questions=questions, groups=groups),
        folds=encode_folds(X, y, groups=groups, folds=splits),
        n_trials=N_TRIALS,
        seed=0,
        storage=tmp_path / "journal",
        study_name="xgboost",
        store=OofStore(tmp_path / "oof"),
    )


@pytest.fixture(params=["journal", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A journal file, or a database on a PostgreSQL server of its own."""
    if request.param == "journal":
        return tmp_path / "shared.journal"
    return request.getfixturevalue("postgresql")


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    bins = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not bins:
        pytest.skip("PostgreSQL is not installed: the Debian package postgresql")
    # The path of a socket is short by law, and the server refuses to be root.
    folder = Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip())
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    subprocess.run(
        [*as_user, bins[-1] / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    control = [*as_user, bins[-1] / "pg_ctl", "-D", data, "-w"]
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    log = folder / "log"
    subprocess.run([*control, "-l", log, "-o", options, "start"], check=True, capture_output=True, cwd=folder)
    yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)
    shutil.rmtree(folder)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BEAT_S", 0.2)
    monkeypatch.setattr(workers, "PATIENCE_S", 2.0)


def shared_tuning(search: Search, storage: Storage, folder: Path, **settings) -> Tuned:
    rows = search.rows
    return tune(
        search.member, None, rows.y, questions=rows.questions, groups=rows.groups, folds=search.folds,
        n_trials=N_TRIALS, seed=search.seed, storage=storage, store=search.store, share=folder, **settings,
    )  # fmt: skip


def trials_of(storage: Storage, name: str = "xgboost") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=open_storage(storage)).trials


def started(file: Path, *, judge: str = "workers.judge_one") -> "subprocess.Popen[str]":
    script = WORKER.format(judge=judge)
    return subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True)


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + 300
    while not what():
        assert time.monotonic() < end, "waited for five minutes"
        time.sleep(0.05)


def test_four_workers_share_a_study_and_one_is_killed(
    search: Search, storage: Storage, tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tune(
        search.member, None, search.rows.y, questions=search.rows.questions, groups=search.rows.groups,
        folds=search.folds, n_trials=N_TRIALS, seed=0, storage=search.storage,
    )  # fmt: skip
    folder, everyone_came = tmp_path / "search", Event()
    found: list[Tuned] = []
    kind, judge_one = find_member("xgboost"), workers.judge_one
    # This process holds its first trial until the others are there.
    monkeypatch.setattr(
        workers, "judge_one", lambda *a, **k: (everyone_came.wait(120), judge_one(*a, **k))[1]
    )
    coordinator = Thread(target=lambda: found.append(shared_tuning(search, storage, folder)))
    coordinator.start()
    wait_for((folder / "xgboost.json").exists)
    wait_for(lambda: [trial.number for trial in running(storage)] == [0])
    victim = started(folder / "xgboost.json", judge="lambda *a, **k: time.sleep(600)")
    wait_for(lambda: [trial.number for trial in running(storage)] == [0, 1])
    others = [started(folder / "xgboost.json") for _ in range(2)]
    wait_for(lambda: sum(trial.state.is_finished() for trial in trials_of(storage)) == N_TRIALS - 2)
    victim.kill()
    victim.communicate()
    wait_for(lambda: sum(is_lost(trial) for trial in trials_of(storage)) == 1)
    everyone_came.set()
    outputs = [worker.communicate(timeout=120)[0] for worker in others]
    coordinator.join(timeout=120)
    assert all(worker.returncode == 0 for worker in others), outputs
    (tuned,) = found
    trials = trials_of(storage)
    assert all(trial.state.is_finished() for trial in trials)
    lost = [trial for trial in trials if is_lost(trial)]
    assert len(lost) == tuned.n_lost == 1
    # Every trial that counts has ended once; the lost one has another in its place.
    assert tuned.n_trials == N_TRIALS == len(trials) - 1
    assert [t.user_attrs["instead_of"] for t in trials if "instead_of" in t.user_attrs] == [lost[0].number]
    assert tuned.n_failed == 0
    assert not tuned.reproducible
    assert alone.reproducible
    assert sum(int(told) for told in outputs) > 0
    # Each trial says who ran it, the lost one too.
    ran = Counter(trial.user_attrs["worker"].partition(":")[2] for trial in trials)
    assert [ran[str(worker.pid)] for worker in others] == [int(told) for told in outputs]
    assert ran[str(victim.pid)] == 1
    assert sum(ran.values()) == len(trials)
    assert abs(tuned.inner_log_loss - alone.inner_log_loss) < 0.05 * alone.inner_log_loss
    assert set(kind.defaults) == set(tuned.params)


def running(storage: Storage) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in trials_of(storage) if trial.state.name == "RUNNING"]


def test_a_worker_that_was_only_slow_drops_what_it_found(search: Search) -> None:
    study = open_study(search)
    trial = workers._claim(study, search)
    workers._requeue(study, study.trials[0])
    assert workers._tell_unless_ended(study, trial, Judged(running=(0.5, 0.5, 0.5))) is False
    lost, instead = study.trials
    assert is_lost(lost)
    assert instead.state.name == "WAITING"
    assert instead.system_attrs["fixed_params"] == {} or instead.params == lost.params


def test_a_trial_that_ended_is_not_taken_for_lost(search: Search) -> None:
    study = open_study(search)
    trial = workers._claim(study, search)
    frozen = study.trials[0]
    tell(study, trial, Judged(running=(0.5,)))
    workers._requeue(study, frozen)
    assert [t.state.name for t in study.trials] == ["PRUNED"]


def test_a_search_is_written_and_read_whole(search: Search, tmp_path: Path) -> None:
    read = load_search(save_search(search, tmp_path / "search"))
    for name in ("member", "n_trials", "seed", "study_name"):
        assert getattr(read, name) == getattr(search, name)
    assert Path(read.storage) == Path(search.storage).resolve()
    for name in ("y", "questions", "groups"):
        np.testing.assert_array_equal(getattr(read.rows, name), getattr(search.rows, name))
    for one, other in zip(read.folds, search.folds, strict=True):
        np.testing.assert_array_equal(one.X_train, other.X_train)
        assert isinstance(one.X_train, np.memmap)
    (tmp_path / "search" / "X_train1.npy").unlink()
    with pytest.raises(ValueError, match=r"xgboost\.json holds no whole search: .*X_train1"):
        load_search(tmp_path / "search" / "xgboost.json")


def test_nobody_joins_a_study_that_is_closed_or_not_there(search: Search) -> None:
    with pytest.raises(ValueError, match="the storage holds no study 'xgboost'"):
        join(search)
    run_shared(search, n_jobs=1)
    assert join(search) == 0


def test_a_shared_study_ends_in_time(search: Search) -> None:
    open_study(search)
    run_shared(search, n_jobs=1, deadline=time.time() - 1)
    assert not any(trial.state.name == "COMPLETE" for trial in open_study(search).trials)
