"""Fitted estimators on disk without pickle [edge].

A folder holds ``model.skops`` (a zip of JSON and arrays; the boosters of XGBoost and LightGBM are in it in
their own formats) and ``manifest.json``, written last, with the file's SHA-256. Loading builds only types of
a fixed list.
"""

import hashlib
import importlib
import json
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from ensembles.drafts import whole_file

SCHEMA_VERSION = 1
MODEL_FILE, MANIFEST_FILE = "model.skops", "manifest.json"

OWN_TYPES = frozenset(
    {
        "ensembles.greedy.GreedySelection",
        "ensembles.level_one.LevelOne",
        "ensembles.members.conditional_logit.ConditionalLogit",
        "ensembles.members.forest_of_xgb.ForestOfXGBoost",
        "ensembles.members.linear.BlockLogistic",
        "ensembles.members.neighbours.WeightedNeighbours",
        "ensembles.members.rankers.LGBMUtility",
        "ensembles.members.rankers.XGBUtility",
        "ensembles.members.rows.RowClassifier",
        "ensembles.members.standardised.Standardised",
        "ensembles.members.utility.UtilityClassifier",
        "ensembles.stacking.OptionStacking",
        "studies.design.answers.PublishedAnswerFeatures",
        "studies.design.embeddings.Agreement",
        "studies.design.embeddings.OptionScores",
        "studies.design.embeddings.ReducedArray",
        "studies.design.encoder.DesignEncoder",
        "studies.design.hashed.HashedTfIdf",
        "studies.design.memory.TextMemory",
        "studies.design.neighbours.NeighbourMemory",
        "studies.design.plain.PlainColumns",
        "studies.design.texts.Overlap",
        "studies.design.texts.TextTopics",
    }
)
"""Every estimator of this distribution. One by one: a whole package would let in what its modules import."""
TRUSTED_TYPES = OWN_TYPES | frozenset(
    {
        "collections.OrderedDict",
        "ensembles.oof_store.OofStore",  # of a stack; its state is where its predictions are kept
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRanker",
        "scipy.sparse._csr.csr_matrix",
        "numpy.dtype",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRanker",
    }
)
"""Beyond what skops itself takes for harmless."""


def save_model(estimator: object, path: Path) -> Path:
    """Write an estimator into a folder and return it.

    Parameters
    ----------
    estimator : object
        Fitted estimator or transformer.
    path : Path
        Folder; made if it is not there.
    """
    skops_io = _skops_io()
    path.mkdir(parents=True, exist_ok=True)
    with whole_file(path / MODEL_FILE) as draft:
        skops_io.dump(estimator, draft)
        manifest = {"schema_version": SCHEMA_VERSION, "sha256": _sha256(draft)}
    with whole_file(path / MANIFEST_FILE) as draft:
        draft.write_text(json.dumps(manifest), encoding="utf-8")
    return path


def load_model(path: Path) -> Any:
    """Load an estimator that `save_model` wrote.

    Raises
    ------
    ValueError
        If a file is missing, changed, broken or of another version, or holds a type that is not trusted.
    """
    skops_io = _skops_io()
    try:
        for file in (path / MANIFEST_FILE, path / MODEL_FILE):
            if file.exists() and not file.is_file():  # a pipe or a device may never end
                raise ValueError(f"{file.name} is no file")
        manifest = json.loads((path / MANIFEST_FILE).read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            raise ValueError(f"{MANIFEST_FILE} is no manifest")
        found = _sha256(path / MODEL_FILE)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no whole model: {error}") from error
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path / MANIFEST_FILE}: got schema version {manifest.get('schema_version')}, "
            f"allowed is {SCHEMA_VERSION}"
        )
    if manifest.get("sha256") != found:
        raise ValueError(f"{path / MODEL_FILE} is not the file that was written: its SHA-256 differs")
    types = _read(skops_io.get_untrusted_types, path / MODEL_FILE)
    strange = sorted(set(types) - TRUSTED_TYPES)
    if strange:
        raise ValueError(f"{path / MODEL_FILE} holds types that are not trusted: {', '.join(strange)}")
    return _read(skops_io.load, path / MODEL_FILE, trusted=types)


def _read(read: Callable[..., Any], file: Path, **options: Any) -> Any:
    """Let skops read a file; whatever foreign bytes lead it to is one kind of error."""
    try:
        return read(file=file, **options)
    except Exception as error:
        raise ValueError(f"{file} cannot be read as a model: {type(error).__name__}: {error}") from error


def _skops_io() -> Any:
    """Import skops without torch.

    On import it walks through all of scikit-learn, whose array adapters load torch wherever it is installed;
    that takes seconds and is of no use here.
    """
    veil = _NoTorch()
    if "torch" not in sys.modules:
        sys.meta_path.insert(0, veil)
    try:
        return importlib.import_module("skops.io")
    finally:
        if veil in sys.meta_path:
            sys.meta_path.remove(veil)


class _NoTorch(MetaPathFinder):
    """Answers that there is no torch."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=fullname)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
