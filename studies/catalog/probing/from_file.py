"""Vectors of one's own laid out for probing [edge]."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.errors import InputError
from studies.catalog.probing.labels import as_labels, is_file_of_labels, laid_out, read_labels
from studies.catalog.probing.material import Material
from studies.catalog.probing.own_vectors import families_of_twins, read_vectors
from studies.catalog.probing.stages import StageInfo, chosen_stages
from studies.catalog.probing.targets import check_targets, own_target
from studies.files import file_hash
from studies.probing import Stage
from studies.spec.probing import ProbingSpec


def material_of_file(spec: ProbingSpec, source: Path) -> Material:
    """Lay out vectors of one's own; each block is held against the one before it.

    Raises
    ------
    InputError
        For a file, block, target or family that cannot be used.
    """
    if spec.data is not None:
        raise InputError("got data for vectors of one's own, allowed with a feature store", field="data")
    vectors = read_vectors(source, apart=[*spec.targets, spec.groups or ""])
    blocks = [
        StageInfo(stage=Stage(name=name, level="example", vectors=block), label=name, block=name)
        for name, block in vectors.blocks.items()
    ]
    chosen = chosen_stages(blocks, spec.blocks)
    before = [None, *(info.name for info in chosen[:-1])]
    stages = [replace(info, compared_with=name) for info, name in zip(chosen, before, strict=True)]
    n_rows, ids = vectors.n_rows, vectors.ids
    targets = [
        own_target(told, columns=vectors.columns, ids=ids, n_items=n_rows, source=source)
        for told in spec.targets
    ]
    check_targets(targets)
    if spec.groups is None:
        families = families_of_twins([info.stage.vectors for info in stages]).astype(np.str_)
    else:
        families = _families(spec.groups, vectors.columns, ids, n_rows=n_rows, source=source)
    fingerprint = file_hash(source)
    return Material(
        name=source.name,
        unit="rows",
        fingerprint=fingerprint,
        origin={"file": fingerprint},
        ids=np.arange(1, n_rows + 1).astype(np.str_) if ids is None else ids,
        families=families,
        has_families=spec.groups is not None,
        parts=None,
        stages=tuple(stages),
        targets=tuple(targets),
    )


def _families(
    told: str,
    columns: "Mapping[str, pd.Series[Any]]",
    ids: NDArray[np.str_] | None,
    *,
    n_rows: int,
    source: Path,
) -> NDArray[np.str_]:
    """Return the named family of each row."""
    if told in columns:
        families = as_labels(columns[told], path=source, field=told)
    elif is_file_of_labels(told):
        families = laid_out(read_labels(told), ids, n_items=n_rows)
    else:
        raise InputError(
            f"got {told!r}, allowed are {''.join(f'{name}, ' for name in columns)}a file "
            "(.csv, .parquet, .npy) or FILE:COLUMN",
            field="groups",
        )
    nameless = int((families == "").sum())
    if nameless:
        raise InputError(f"got {nameless} rows without a family, allowed is one for each", field="groups")
    return families
