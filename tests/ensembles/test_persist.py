"""What a model file may hold, and what is refused."""

import hashlib
import importlib
import json
import pkgutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator

import ensembles
import studies.design
from ensembles.level_one import LevelOne
from ensembles.oof import FoldPrediction
from ensembles.persist import OWN_TYPES, TRUSTED_TYPES, load_model, save_model


def own_estimators() -> set[str]:
    found = set()
    for package in (ensembles, studies.design):
        for told in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(told.name)
            found |= {
                f"{module.__name__}.{name}"
                for name, kind in vars(module).items()
                if isinstance(kind, type)
                and issubclass(kind, BaseEstimator)
                and kind.__module__ == module.__name__
            }
    return found


def renamed(path: Path, module: str, name: str) -> None:
    """Let a model file name another type in place of LevelOne, and its manifest agree."""
    file = path / "model.skops"
    with zipfile.ZipFile(file) as archive:
        content = {each: archive.read(each) for each in archive.namelist()}
    schema = content["schema.json"].decode()
    assert '"ensembles.level_one"' in schema
    content["schema.json"] = (
        schema.replace('"ensembles.level_one"', f'"{module}"').replace('"LevelOne"', f'"{name}"').encode()
    )
    with zipfile.ZipFile(file, "w") as archive:
        for each, data in content.items():
            archive.writestr(each, data)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_every_estimator_of_ours_may_be_loaded_and_nothing_else_of_ours() -> None:
    assert own_estimators() == OWN_TYPES


def test_an_allowed_type_comes_back(tmp_path: Path) -> None:
    path = save_model(LevelOne(probs=("xgboost",)), tmp_path / "model")
    renamed(path, "ensembles.level_one", "LevelOne")
    assert isinstance(load_model(path), LevelOne)


@pytest.mark.parametrize(
    ("module", "name"),
    [("subprocess", "Popen"), ("builtins", "eval"), ("ensembles.persist", "Path"), ("ensembles.oof", "mmap")],
)
def test_a_type_that_is_not_listed_is_refused_and_not_made(tmp_path: Path, module: str, name: str) -> None:
    path = save_model(LevelOne(probs=("xgboost",)), tmp_path / "model")
    renamed(path, module, name)
    with pytest.raises(ValueError, match=rf"holds types that are not trusted: {module}\.{name}$"):
        load_model(path)


def test_a_type_of_ours_that_is_no_estimator_is_refused(tmp_path: Path) -> None:
    path = save_model(FoldPrediction(prob=np.zeros(1), fit_s=0.0), tmp_path / "model")
    with pytest.raises(ValueError, match=r"not trusted: ensembles\.oof\.FoldPrediction"):
        load_model(path)


def test_nothing_that_runs_code_is_on_the_list() -> None:
    modules = {name.split(".")[0] for name in TRUSTED_TYPES}
    assert modules == {
        "collections", "ensembles", "lightgbm", "numpy", "scipy", "sklearn", "studies", "xgboost",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["model.skops", "manifest.json"])
def test_a_flipped_byte_is_refused_wherever_it_is(tmp_path: Path, name: str) -> None:
    path = save_model(LevelOne(probs=("xgboost",)), tmp_path / "model")
    file = path / name
    whole = file.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=str(path)):
            load_model(path)
