"""Settings and variants of `stage_ablation`.

A variant is one way to train the same tower and language model: which stages run, what connects the parts,
which hidden state of the tower is read. All others keep to the reference in everything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from llava_core.errors import InputError
from studies.spec.base import StudySpec

REFERENCE = "both"


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One way to connect and train the parts."""

    label: str
    projector: str = "linear"
    """Kind, of `llava_core.model.projector.PROJECTORS`."""
    settings: Mapping[str, int] = field(default_factory=dict)
    """Of the kind."""
    vision_layer: int = -2
    """Hidden state of the tower that is read."""
    align: bool = True
    """Whether stage 1 runs; without it, stage 2 starts from a fresh projector."""
    finetune: bool = True
    """Whether stage 2 runs."""
    learns: bool = True
    """Whether the projector learns; otherwise it stays as it was drawn."""


VARIANTS: Mapping[str, Variant] = {
    REFERENCE: Variant(label="both stages, linear, layer -2"),
    "no_stage_1": Variant(label="without stage 1", align=False),
    "stage_1_only": Variant(label="stage 1 only", finetune=False),
    "mlp": Variant(label="two-layer MLP", projector="mlp2x_gelu"),
    "random_projector": Variant(label="random linear, never trained", align=False, learns=False),
    "last_layer": Variant(label="last layer of CLIP", vision_layer=-1),
    "query": Variant(label="queries (BLIP-2)", projector="query", settings={"n_queries": 16}),
    "gated_cross_attention": Variant(
        label="gated cross-attention (Flamingo)", projector="gated_cross_attention"
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationSpec(StudySpec):
    """All that a run of `stage_ablation` depends on."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {},
        # A smoke run for tests: every step happens, no number of it means anything.
        "quick": {"limit": 40, "budget_frac": 0.5, "n_boot": 200},
    }

    variants: tuple[str, ...] = tuple(VARIANTS)
    """Which of them are trained; the reference is always among them."""
    seeds: tuple[int, ...] = (0,)
    """Of the trainings; with two or more, seed and question variation are told apart."""
    budget_frac: float = 0.4
    """Share of the recipe's passes over the data, the same in each stage of every variant."""

    def __post_init__(self) -> None:
        """Check ranges; types are the caller's business."""
        StudySpec.__post_init__(self)  # a class with slots is made anew, which super() does not know
        unknown = [name for name in self.variants if name not in VARIANTS]
        if unknown or REFERENCE not in self.variants or len(set(self.variants)) < len(self.variants):
            raise InputError(
                f"got {', '.join(self.variants)}, allowed are {REFERENCE} and any of "
                f"{', '.join(name for name in VARIANTS if name != REFERENCE)}, each once",
                field="variants",
            )
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            told = ",".join(map(str, self.seeds)) or "none"
            raise InputError(f"got {told}, allowed are one or more different seeds from 0", field="seeds")
        if not 0 < self.budget_frac <= 1:
            raise InputError(f"got {self.budget_frac}, allowed above 0 to 1", field="budget_frac")
        for name in ("llava", "features"):
            if getattr(self, name) is not None:
                raise InputError("got a finished one, which this study trains itself", field=name)
