"""The stages of a feature store, in the order in which data flows through LLaVA.

| block | stages | held against |
|---|---|---|
| clip_layers | one per kept layer of the vision tower, means over the patches | clip_image_patches |
| clip_image_patches | the layer that LLaVA reads, in its mean over the image tokens | |
| clip_image | CLIP's projected image embedding | clip_image_patches |
| projector_align, projector | behind the projector, after stage 1 and after stage 2 | clip_image_patches |
| llm_hidden | one per kept layer, at the option's last token | projector |
| clip_text | question and option in CLIP's text tower | |

Scores (clip_similarity, option_logprob, llm_answer) are no vectors and no stages.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llava_core.errors import InputError
from llava_core.features.store import FeatureStore
from studies.probing import Stage

PATCHES, PROJECTOR = "clip_image_patches", "projector"
PROJECTED = ("projector_align", PROJECTOR)
_LABELS: Mapping[str, str] = {
    PATCHES: "Before the projector",
    "clip_image": "CLIP, image embedding",
    "projector_align": "Projector, after stage 1",
    PROJECTOR: "Projector, after stage 2",
    "clip_text": "CLIP, text embedding",
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StageInfo:
    """A stage and where it stands."""

    stage: Stage
    label: str
    block: str
    compared_with: str | None = None
    """Name of the stage that it is held against."""

    @property
    def name(self) -> str:
        """Of the stage."""
        return self.stage.name


def store_stages(store: FeatureStore) -> list[StageInfo]:
    """Return all stages of a store; a missing image is a vector of NaN."""
    settings = store.manifest.get("settings", {})
    found: list[StageInfo] = []
    if "clip_layers" in store.blocks:
        layers = list(settings["clip_layers"])
        found += _layers(store, "clip_layers", layers, label="CLIP, layer {}", compared_with=PATCHES)
    for name, compared in (
        (PATCHES, None),
        ("clip_image", PATCHES),
        *((name, PATCHES) for name in PROJECTED),
    ):
        if name in store.blocks:
            found.append(_whole(store, name, compared_with=compared))
    if "llm_hidden" in store.blocks:
        layers = list(settings["llm_hidden_layers"])
        found += _layers(store, "llm_hidden", layers, label="LLM, layer {}", compared_with=PROJECTOR)
    if "clip_text" in store.blocks:
        found.append(_whole(store, "clip_text", compared_with=None))
    return found


def chosen_stages(stages: Sequence[StageInfo], blocks: Collection[str]) -> list[StageInfo]:
    """Return the stages that are named, by themselves or by their block; all where none is.

    What a stage is held against is dropped with the stage that it names.

    Raises
    ------
    InputError
        If there is no stage or block of a name.
    """
    known = dict.fromkeys([*(info.block for info in stages), *(info.name for info in stages)])
    unknown = next((name for name in blocks if name not in known), None)
    if unknown is not None or not stages:
        told = ", ".join(known) or "none: the store holds no vectors"
        raise InputError(f"got {unknown or 'none'!r}, allowed are {told}", field="blocks")
    kept = [info for info in stages if not blocks or info.name in blocks or info.block in blocks]
    names = {info.name for info in kept}
    return [info if info.compared_with in names else replace(info, compared_with=None) for info in kept]


def has_vectors(stage: Stage) -> NDArray[np.bool_]:
    """Whether each item has a finite vector, and each of its options where they have one, (n_items,)."""
    whole = np.isfinite(stage.vectors).all(axis=1)
    if stage.question is None:
        return np.asarray(whole)
    return np.asarray(np.bincount(stage.question, weights=~whole) == 0)


def _whole(store: FeatureStore, name: str, *, compared_with: str | None) -> StageInfo:
    vectors = _as_vectors(store.block(name))
    return StageInfo(
        stage=_stage(store, name, name, vectors), label=_LABELS[name], block=name, compared_with=compared_with
    )


def _layers(
    store: FeatureStore, name: str, layers: Sequence[int], *, label: str, compared_with: str | None
) -> list[StageInfo]:
    """Return a stage per layer of a block (n, n_layers, dim), or of its flat form (n, n_layers * dim)."""
    block = store.block(name)
    stacked = block.reshape(len(block), len(layers), -1)
    return [
        StageInfo(
            stage=_stage(store, name, f"{name}_{layer}", _as_vectors(stacked[:, place])),
            label=label.format(layer),
            block=name,
            compared_with=compared_with,
        )
        for place, layer in enumerate(layers)
    ]


def _stage(store: FeatureStore, block: str, name: str, vectors: NDArray[np.float32]) -> Stage:
    level = store.blocks[block].level
    question = np.repeat(np.arange(len(store.rows)), store.rows["n_options"]) if level == "option" else None
    return Stage(name=name, level=level, vectors=vectors, question=question)


def _as_vectors(block: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(block, dtype=np.float32).reshape(len(block), -1)
