"""Stores, journals, saved methods, run folders and settings, read to the end."""

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.fuzz import corpus

# Stores, journals, models ---------------------------------------------------------------------------------


def store_files(folder: Path) -> None:
    from llava_core.features.store import Block, write_store

    rows = pd.DataFrame(
        {"example_id": ["a", "b"], "group": ["a", "b"], "split": ["test", "test"], "n_options": [2, 3],
         "answer": [0, 1], "seen_in_training": [False, False]}
    )  # fmt: skip
    blocks = {
        "clip_image": Block(level="example", array=np.ones((2, 4), dtype=np.float16)),
        "option_logprob": Block(level="option", array=np.ones((5, 3), dtype=np.float32)),
    }
    write_store(folder / "store", rows=rows, blocks=blocks, meta={"data_fingerprint": "f", "checkpoints": {}})


def store(folder: Path) -> object:
    from llava_core.features.store import FeatureStore

    store = FeatureStore.open(folder / "store", data_fingerprint="f")
    assert store.option_offsets.tolist() == [0, 2]
    return store.origin, [float(np.nansum(store.block(name))) for name in store.blocks]


def rehash_store(folder: Path) -> None:
    from llava_core.data.image_files import hash_file

    file = folder / "store" / "manifest.json"
    manifest = json.loads(file.read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hash_file(folder / "store" / name)
    file.write_text(json.dumps(manifest))


def model_files(folder: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    from ensembles.persist import save_model

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), np.arange(30) % 2
    save_model(LogisticRegression().fit(X, y), folder / "linear")
    save_model(DecisionTreeClassifier(max_depth=2).fit(X, y), folder / "tree")


def model(folder: Path) -> object:
    from ensembles.persist import load_model

    return as_studies_do(folder, lambda: [load_model(folder / name) for name in ("linear", "tree")])


def as_studies_do(folder: Path, read: Callable[[], object]) -> object:
    """`ensembles` raises ValueError, which `studies` tells as bad input: do the same here."""
    from llava_core.errors import InputError

    try:
        return read()
    except ValueError as error:
        raise InputError(str(error), path=folder) from error


def rehash_model(folder: Path) -> None:
    from llava_core.data.image_files import hash_file

    for name in ("linear", "tree"):
        file = folder / name / "manifest.json"
        manifest = json.loads(file.read_text()) | {"sha256": hash_file(folder / name / "model.skops")}
        file.write_text(json.dumps(manifest))


def fold(n: int = 12) -> Any:
    from ensembles.oof import EncodedFold

    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2)).astype(np.float32)
    return EncodedFold(X_train=X[:8], X_held_out=X[8:], train=np.arange(8), held_out=np.arange(8, n))


def oof(folder: Path, *, write: bool = False) -> object:
    from ensembles.oof_store import OofStore
    from ensembles.registry import find_member

    y = np.arange(12) % 2

    def read() -> object:
        tree = find_member("decision_tree").make({}, seed=0, n_jobs=1)
        found = OofStore(folder / "oof").predict_fold(tree, fold(), y=y, questions=None, groups=np.arange(12))
        assert found.prob.shape[0] == 4
        return found

    return read() if write else as_studies_do(folder, read)


def search_files(folder: Path) -> None:
    from ensembles.oof_store import OofStore
    from ensembles.search import Search
    from ensembles.trial import Rows
    from ensembles.workers import save_search

    rows = Rows(y=np.arange(12) % 2, questions=np.arange(12) // 2, groups=np.arange(12) // 4)
    search = Search(
        member="decision_tree", rows=rows, folds=[fold()], n_trials=2, seed=0, storage=folder / "j.journal",
        study_name="s", store=OofStore(folder / "oof"),
    )  # fmt: skip
    save_search(search, folder / "search")


def search(folder: Path) -> object:
    from ensembles.workers import load_search

    (file,) = [file for file in (folder / "search").iterdir() if file.suffix == ".json"] or [
        folder / "search/x.json"
    ]
    return as_studies_do(folder, lambda: load_search(file).kind)


def journal_files(folder: Path) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / "a.journal")))
    study = optuna.create_study(study_name="s", storage=storage, direction="minimize")
    for number in range(3):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 9, log=True)
        trial.report(x, 0)
        trial.set_user_attr("fit_s", 0.1)
        study.tell(trial, x) if number else study.tell(trial, state=optuna.trial.TrialState.FAIL)


def journal(folder: Path) -> object:
    from studies.report.optuna_page import studies_of
    from studies.report.optuna_view import study_view

    return [study_view(one) for one in studies_of(folder / "a.journal")]


# Run folders ----------------------------------------------------------------------------------------------


def run_files(folder: Path) -> None:
    from llava_core.data.example import Example
    from studies.catalog.questions import write_questions
    from studies.predictions import build_predictions, write_predictions
    from studies.rundir import RunDir
    from studies.spec.base import resolve, to_json
    from studies.spec.ensemble import EnsembleSpec

    for name in ("one", "two"):
        run = folder / name
        ids = [f"q{n}" for n in range(6)]
        tables = [
            build_predictions(
                method,
                example_ids=np.repeat(ids, 2),
                option_index=[0, 1] * 6,
                y=[1, 0] * 6,
                prob=[0.8, 0.2] * 6,
            )
            for method in ("xgboost", "stacking")
        ]
        run.mkdir()
        write_predictions(pd.concat(tables, ignore_index=True), run / "predictions.parquet")
        write_questions(
            [
                Example(id=id_, question="?", options=("a", "b"), answer=0, split=None, group=id_)
                for id_ in ids
            ],
            run / "questions.parquet",
        )
        accuracy = {"value": 0.5, "low": 0.4, "high": 0.6, "level": 0.95, "n": 6}
        methods = [
            {"name": m, "label": m, "kind": "ladder", "status": "ok", "accuracy": accuracy, "log_loss": None}
            for m in ("xgboost", "stacking")
        ]
        summary = {
            "schema_version": 1, "study": "ensemble_vs_llm", "title": "t", "verdict": {"sentence": "It ran."},
            "data": {"name": "d", "fingerprint": "aa", "n_questions": 6, "n_families": 6,
            "evaluated_on": "test"},
            "methods": methods, "choice": {"method": "stacking"}, "provenance": {"seed": len(name)},
        }  # fmt: skip
        corpus.write_json(run / "summary.json", summary)
        (run / "spec.json").write_text(to_json(resolve(EnsembleSpec, "ensemble_vs_llm", seed=len(name))))
        RunDir(path=run).finish({"study": "ensemble_vs_llm"})


def rehash_runs(folder: Path) -> None:
    from studies.rundir import describe_file

    for name in ("one", "two"):
        file = folder / name / "manifest.json"
        manifest = json.loads(file.read_text())
        for kept in manifest["files"]:
            if (folder / name / kept).is_file():
                manifest["files"][kept] = describe_file(folder / name / kept)
        file.write_text(json.dumps(manifest))


def compared_runs(folder: Path) -> object:
    from studies.catalog.compare import compare_runs, read_runs

    return compare_runs(read_runs([folder / "one", folder / "two"]), n_boot=10)


def spec_files(folder: Path) -> None:
    from studies.spec.base import resolve, to_json
    from studies.spec.ensemble import EnsembleSpec

    spec = resolve(EnsembleSpec, "ensemble_vs_llm", data=Path("d"), llm_answers=(Path("a.json"),))
    (folder / "spec.json").write_text(to_json(spec))
    corpus.write_json(
        folder / "steps" / "data.json",
        {
            "name": "data",
            "key": "k",
            "state": "done",
            "inputs": {},
            "outputs": [],
            "seconds": 1.5,
            "facts": {"n": 1},
        },
    )
    corpus.write_json(folder / "optuna" / "xgboost.compared.json", {"n_questions": 3, "trial": 0})
    corpus.write_json(
        folder / "manifest.json", {"schema_version": 1, "files": {"spec.json": {"bytes": 1, "sha256": "x"}}}
    )


def continued_run(folder: Path) -> object:
    """Open a run to go on with it: its specification, one step, its manifest and a comparison."""
    from studies.catalog.compared import read_comparison
    from studies.rundir import digest, open_run
    from studies.spec.base import differences, resolve, to_json
    from studies.spec.ensemble import EnsembleSpec

    spec = resolve(EnsembleSpec, "ensemble_vs_llm", data=Path("d"), llm_answers=(Path("a.json"),))
    with open_run(
        folder,
        spec=to_json(spec),
        resume=True,
        differ=lambda text: differences(spec, text, path=folder / "spec.json"),
    ) as run:
        assert digest({}) != "k"
        facts = run.step("data", inputs={"a": 1}, outputs=[], do=lambda: {"n": 1})
        assert facts == {"n": 1}
        return run.finished, run.is_done("data"), run.seconds_by_kind(), read_comparison(folder, "xgboost")


def method_files(folder: Path) -> None:
    from sklearn.tree import DecisionTreeClassifier

    from studies.catalog.saved import Needs, save_method

    tree = DecisionTreeClassifier(max_depth=1).fit([[0.0], [1.0]], [0, 1])
    save_method(folder / "models" / "tree", tree, Needs(columns=None, answers=("a",)))


def method(folder: Path) -> object:
    from studies.catalog.saved import read_method

    return read_method(folder, "tree")


# Settings -------------------------------------------------------------------------------------------------


def settings_files(folder: Path) -> None:
    (folder / "settings.txt").write_text(
        "folds=3\nlevel=0.9\ncurve_trees=1,2,3\nablation=false\ntune_timeout_s=none\nmemory=family\njobs=1\nn_boot=10\nstorage=journal"
    )


def settings(folder: Path) -> object:
    """Give the lines of a text as ``--set``."""
    from studies.spec.base import differences, resolve, to_json
    from studies.spec.ensemble import EnsembleSpec

    lines = (folder / "settings.txt").read_bytes().decode("utf-8", "surrogateescape").split("\n")
    spec = resolve(EnsembleSpec, "ensemble_vs_llm", settings=[line for line in lines if line])
    assert differences(spec, to_json(spec), path=folder) == []
    return spec


def stage_settings_files(folder: Path) -> None:
    """Write every setting of a training with the value that it has."""
    from llava_core.recipes import mini_cpu
    from llava_core.settings import setting_names

    config = mini_cpu().align

    def written(name: str) -> str:
        value = reduce(lambda held, part: getattr(held, part, None), name.split("."), config)
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()

    names = [name for name in setting_names(type(config)) if "lora." not in name]  # a part that is off
    lines = [f"{name}={written(name)}" for name in names]
    (folder / "settings.txt").write_text("\n".join(lines))


def stage_settings(folder: Path) -> object:
    from llava_core.recipes import mini_cpu
    from llava_core.settings import with_settings

    lines = (folder / "settings.txt").read_bytes().decode("utf-8", "surrogateescape").split("\n")
    return with_settings(mini_cpu().align, [line for line in lines if line])
