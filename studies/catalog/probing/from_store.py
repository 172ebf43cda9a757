"""A feature store laid out for probing."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llava_core.data.example import Dataset, Example
from llava_core.errors import InputError
from llava_core.features.store import FeatureStore
from studies.catalog import audit
from studies.catalog.probing import targets as kinds
from studies.catalog.probing.material import Material
from studies.catalog.probing.stages import chosen_stages, has_vectors, store_stages
from studies.catalog.probing.targets import Target, check_targets
from studies.catalog.protocol import MAIN_SLICE, PART_NAMES
from studies.pipeline import Checkpoints
from studies.spec.probing import ProbingSpec

BUNDLED_PART = PART_NAMES["train"][0]
"""A part that only data in the layout of the bundled one has."""
APART = "apart"
"""Part of test questions that are reported apart: out of training and test here."""
IMAGE_BLOCKS = ("clip_image_patches", "clip_image", "projector")
"""Blocks whose vectors are missing where there is no image."""


def is_bundled(store: FeatureStore) -> bool:
    """Whether the parts of a store are those of the bundled data."""
    return BUNDLED_PART in set(store.rows["split"])


def material_of_store(
    spec: ProbingSpec,
    store: FeatureStore,
    dataset: Dataset | None,
    *,
    part: Mapping[str, str] | None = None,
    checkpoints: Checkpoints | None = None,
    checks: Sequence[audit.Check] = (),
) -> Material:
    """Lay out a store; of a larger one, the items that have a part."""
    rows = store.rows
    ids = rows["example_id"].to_numpy(dtype=np.str_)
    by_id = {} if dataset is None else {example.id: example for example in dataset.examples}
    parts = _parts(ids, rows["split"].to_list(), by_id, part)
    stages = chosen_stages(store_stages(store), spec.blocks)
    examples = tuple(by_id[name] for name in ids) if by_id and set(ids) <= by_id.keys() else ()
    known = bool(store.manifest.get("knows_seen_in_training", True))
    return Material(
        name=dataset.name if dataset is not None else store.path.name,
        unit="questions",
        fingerprint=store.manifest.get("data_fingerprint"),
        origin={"store": store.origin, "files": store.manifest["files"]},
        ids=ids,
        families=rows["group"].to_numpy(dtype=np.str_),
        has_families=True,
        parts=parts,
        stages=tuple(stages),
        targets=_store_targets(spec, store, examples),
        examples=examples,
        seen=rows["seen_in_training"].to_numpy(dtype=np.bool_) if known else None,
        checkpoints=checkpoints,
        checks=(*checks, *audit.audit_blocks(store)),
    )


def _parts(
    ids: NDArray[np.str_],
    splits: Sequence[str | None],
    by_id: Mapping[str, Example],
    part: Mapping[str, str] | None,
) -> NDArray[np.str_] | None:
    """Return the part of each item; questions of the bundled test outside of its main slice stand apart."""
    if part is not None:
        return np.array([part.get(name, APART) for name in ids], dtype=np.str_)
    if all(split is None for split in splits):
        return None
    bundled = BUNDLED_PART in splits
    return np.array(
        [
            APART if bundled and name in by_id and by_id[name].slice != MAIN_SLICE else split or APART
            for name, split in zip(ids, splits, strict=True)
        ],
        dtype=np.str_,
    )


def _store_targets(spec: ProbingSpec, store: FeatureStore, examples: Sequence[Example]) -> tuple[Target, ...]:
    found = [_store_target(told, store, examples) for told in spec.targets]
    check_targets(found)
    return tuple(found)


def _store_target(told: str, store: FeatureStore, examples: Sequence[Example]) -> Target:
    rows = store.rows
    if told in kinds.FIELDS:
        if not examples:
            raise InputError("got data that lacks questions of the store", field=told)
        return kinds.field_target(told, examples)
    if told == kinds.HAS_IMAGE:
        shown = next((info for info in store_stages(store) if info.block in IMAGE_BLOCKS), None)
        if shown is not None:
            return kinds.image_target(has_vectors(shown.stage))
        if not examples:
            raise InputError("got a store without a block of images, and no data", field=told)
        return kinds.image_target(np.array([example.has_image for example in examples]))
    if told == kinds.ANSWER:
        return kinds.answer_target(
            rows["n_options"].to_numpy(dtype=np.int64),
            rows["answer"].to_numpy(dtype=np.int64),
            [option for example in examples for option in example.options] or None,
        )
    ids = rows["example_id"].to_numpy(dtype=np.str_)
    return kinds.own_target(
        told, columns={}, ids=ids, n_items=len(rows), source=store.path, others=kinds.NAMES
    )
