"""What all methods of a run stand on: rows, folds, encoded features, and where results go [edge].

The encoder is fitted once on the rows that final models are fitted on; the encoded rows are kept in the run
folder, memory-mapped, and shared by all methods. Tuning and stacking encode within their own folds.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from time import perf_counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ensembles.persist import save_model
from ensembles.splits import family_folds
from llava_core.data.example import Example
from llava_core.errors import InputError
from llava_core.features.store import FeatureStore
from studies.catalog.protocol import Protocol
from studies.catalog.saved import ENCODER, MODEL_FILE, MODELS
from studies.design import DesignEncoder, OptionTable, option_table
from studies.design.encoder import available_blocks
from studies.files import write_npy
from studies.predictions import build_predictions, read_predictions, write_predictions
from studies.rundir import Facts, RunDir, digest
from studies.spec.ensemble import EnsembleSpec

LLAVA_BLOCKS = ("projector", "llm_hidden", "option_logprob", "llm_answer")
"""Blocks that need LLaVA: trees without LLaVA do not see them."""
QUESTION_BLOCKS = ("structure", "question_text", "option_text", "overlap", "text_memory")
"""Blocks that need no image."""
TOLD_OF_IMAGES = ("caption", "ocr")
"""Columns of texts about the image."""
MEMBERS_BLOCK = "members"
"""Block of the probabilities that other methods give, in the tables that stacks read."""
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ground:
    """Rows, folds and features that the methods of a run share."""

    spec: EnsembleSpec
    run: RunDir
    key: Mapping[str, object]
    """What every step depends on, for its key."""
    protocol: str
    """Name of the protocol."""
    tag: str
    """Suffix of step and method names: empty, or that of the second figure."""
    fitted: OptionTable
    """Rows that final models are fitted on."""
    scored: OptionTable
    """Rows that are predicted: test, and val where it is not fitted on."""
    is_val: NDArray[np.bool_]
    """(n_scored_rows,) rows of val, which choices may look at."""
    folds: tuple[Fold, ...]
    """Rows of ``fitted`` to learn from and to be judged on, in tuning."""
    oof_folds: tuple[Fold, ...]
    """Folds of the out-of-fold predictions that stacks learn from: those of tuning. An official split has a
    single one, so that stacks learn on val, whose families are in training like those of test; where none
    of test are, the folds keep families apart instead."""
    memory_keep: str
    captions: bool
    """Whether captions are shown."""
    store_origin: str | None
    """`FeatureStore.origin` of the features; None without a store."""

    @property
    def blocks(self) -> list[str]:
        """Blocks that the table can serve."""
        return available_blocks(self.fitted.frame)

    @property
    def fold_of_rows(self) -> NDArray[np.int64]:
        """Number of the fold that judges each fitted row; -1 where none does."""
        fold = np.full(len(self.fitted.y), -1, dtype=np.int64)
        for number, (_, judged) in enumerate(self.folds):
            fold[judged] = number
        return fold

    def encoder(self, blocks: Sequence[str] | None = None) -> DesignEncoder:
        """Return an unfitted encoder of some blocks, all by default."""
        keep = "question" if self.memory_keep == "question" else "family"
        return DesignEncoder(blocks=blocks, memory_keep=keep, seed=self.spec.seed)  # type: ignore[arg-type]

    def step(
        self, name: str, do: Callable[[], Facts | None], *, outputs: Sequence[str], **inputs: object
    ) -> Facts:
        """Run a step whose key holds, beside ``inputs``, all that the ground depends on."""
        return self.run.step(
            file_name(name + self.tag), inputs={**self.key, **inputs}, outputs=outputs, do=do
        )

    def place(self, folder: str, name: str, suffix: str = "") -> str:
        """Return the path, relative to the run folder, of an output of a method."""
        return f"{folder}/{file_name(name + self.tag)}{suffix}"


def lay_ground(
    spec: EnsembleSpec,
    run: RunDir,
    protocol: Protocol,
    *,
    fingerprint: str,
    store: FeatureStore | None = None,
    tag: str = "",
) -> Ground:
    """Return the ground of a protocol."""
    fit_val = protocol.name == "official" and bool(protocol.val)
    fit_examples = (*protocol.train, *protocol.val) if fit_val else protocol.train
    scored_examples = protocol.test if fit_val else (*protocol.val, *protocol.test)
    fitted = option_table(fit_examples, store=store)
    scored = option_table(scored_examples, store=store)
    n_families = len(np.unique(fitted.groups))
    if n_families < spec.folds:
        raise InputError(
            f"got {n_families} question families to fit on, needed {spec.folds}, one per fold", field="folds"
        )
    folds = apart = tuple(family_folds(fitted.groups, n_folds=spec.folds, seed=spec.seed))
    if fit_val:
        n_rows = sum(len(example.options) for example in protocol.train)
        folds = ((np.arange(n_rows), np.arange(n_rows, len(fitted.y))),)
    keep = spec.memory
    if keep == "auto":
        shared = {example.group for example in fit_examples} & {example.group for example in protocol.test}
        keep = "question" if protocol.name == "official" and shared else "family"
    key = {
        "data": fingerprint,
        "version": version("llava-ensembles"),
        "store": None if store is None else digest(store.manifest),
        "fitted": _ids(fit_examples),
        "scored": _ids(scored_examples),
        "memory": keep,
        "seed": spec.seed,
        "folds": spec.folds,
    }
    return Ground(
        spec=spec,
        run=run,
        key=key,
        protocol=protocol.name,
        tag=tag,
        fitted=fitted,
        scored=scored,
        is_val=np.isin(scored.example_ids, [example.id for example in protocol.val]),
        folds=folds,
        oof_folds=folds if keep == "question" else apart,
        memory_keep=keep,
        captions=protocol.captions,
        store_origin=None if store is None else store.origin,
    )


def blocks_without_llava(ground: Ground) -> list[str]:
    """Return the blocks that trees without LLaVA see."""
    return [block for block in ground.blocks if block not in LLAVA_BLOCKS]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Encoded:
    """Encoded rows of a ground."""

    fitted: NDArray[np.float32]
    """(n_fitted_rows, n_features), honest for their own labels."""
    scored: NDArray[np.float32]
    """(n_scored_rows, n_features)"""
    feature_blocks: NDArray[np.str_]
    """Block of each feature."""
    seconds: float

    def columns(self, blocks: Sequence[str]) -> NDArray[np.intp]:
        """Return the columns of some blocks."""
        return np.flatnonzero(np.isin(self.feature_blocks, list(blocks)))


def encode(ground: Ground) -> Encoded:
    """Fit the encoder of all blocks on the fitted rows, save it, and encode all rows."""
    model = ground.place(MODELS, ENCODER)

    def keep(encoder: DesignEncoder) -> None:
        (ground.run.path / model).mkdir(parents=True, exist_ok=True)
        save_model(encoder, ground.run.path / model / MODEL_FILE)

    return _encode(ground, "all", ground.fitted.frame, ground.scored.frame, ground.blocks, keep, [model])


def tells_of_images(ground: Ground) -> bool:
    """Whether a text of the rows tells what an image shows."""
    frames = ground.fitted.frame, ground.scored.frame
    return any(frame[column].notna().any() for frame in frames for column in TOLD_OF_IMAGES)


def encode_question_only(ground: Ground, encoded: Encoded) -> Encoded:
    """Return the rows as one sees them who knows nothing of the image, its caption and its OCR included."""
    frames = ground.fitted.frame, ground.scored.frame
    if not tells_of_images(ground):
        return encoded
    fitted, scored = (frame.assign(**dict.fromkeys(TOLD_OF_IMAGES)) for frame in frames)
    blocks = [block for block in ground.blocks if block in QUESTION_BLOCKS]
    return _encode(ground, "question_only", fitted, scored, blocks, lambda encoder: None, [])


def _encode(
    ground: Ground,
    name: str,
    fitted_frame: pd.DataFrame,
    scored_frame: pd.DataFrame,
    blocks: Sequence[str],
    keep: Callable[[DesignEncoder], None],
    kept: Sequence[str],
) -> Encoded:
    folder = ground.place("design", name)
    path = ground.run.path / folder

    def do() -> Facts:
        encoder = ground.encoder(blocks)
        begun = perf_counter()
        fitted = encoder.fit_transform(fitted_frame, ground.fitted.y, groups=ground.fitted.groups)
        scored = encoder.transform(scored_frame)
        seconds = perf_counter() - begun
        write_npy(path / "fitted.npy", fitted)
        write_npy(path / "scored.npy", scored)
        keep(encoder)
        return {"seconds": seconds, "feature_blocks": list(encoder.feature_blocks_)}

    facts = ground.step(f"encode.{name}", do, outputs=[folder, *kept], blocks=list(blocks))
    return Encoded(
        fitted=np.load(path / "fitted.npy", mmap_mode="r"),
        scored=np.load(path / "scored.npy", mmap_mode="r"),
        feature_blocks=np.array(facts["feature_blocks"], dtype=str),
        seconds=float(facts["seconds"]),
    )


def save_prediction(
    ground: Ground,
    name: str,
    *,
    prob: NDArray[np.float64] | None = None,
    chosen: NDArray[np.float64] | None = None,
    fold: NDArray[np.int64] | int = -1,
    table: OptionTable | None = None,
) -> None:
    """Write the predictions of one method on the scored rows, or on those of ``table``."""
    rows = ground.scored if table is None else table
    frame = build_predictions(
        name + ground.tag,
        example_ids=rows.example_ids,
        option_index=rows.option_index,
        y=rows.y,
        prob=prob,
        chosen=chosen,
        seed=ground.spec.seed,
        fold=fold,
    )
    write_predictions(frame, ground.run.path / ground.place("steps", name, ".parquet"))


def gather_predictions(run: RunDir, methods: Sequence[str]) -> pd.DataFrame:
    """Return the predictions table of some methods (tags included in their names)."""
    tables = [read_predictions(run.path / f"steps/{file_name(name)}.parquet") for name in methods]
    return pd.concat(tables, ignore_index=True)


def with_members(ground: Ground, table: OptionTable, names: Sequence[str]) -> OptionTable:
    """Add what some methods, fitted on this ground, predict for the rows of a table."""
    tagged = [name + ground.tag for name in names]
    wide = gather_predictions(ground.run, tagged).pivot(
        index=["example_id", "option_index"], columns="method", values="prob"
    )
    places = list(zip(table.example_ids.tolist(), table.option_index.tolist(), strict=True))
    found = wide.loc[places]
    return table.with_columns(MEMBERS_BLOCK, {name: found[name + ground.tag].to_numpy() for name in names})


def file_name(name: str) -> str:
    """Return a method's name as a file name."""
    return re.sub(r"[^\w.-]", "_", name)


def _ids(examples: Sequence[Example]) -> str:
    return digest({"ids": [example.id for example in examples]})
