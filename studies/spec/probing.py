"""Settings of `embedding_probe`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from llava_core.errors import InputError
from studies.probing import PROBES
from studies.spec.base import StudySpec

SPLITS = ("family", "random")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbingSpec(StudySpec):
    """All that a run of `embedding_probe` depends on."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {},
        # A smoke run for tests and examples: every step happens, no number of it means anything.
        "quick": {"limit": 60, "probes": ("linear", "neighbours", "forest"), "n_boot": 200},
    }

    source: Path | None = None
    """What ``studies probe`` probes: a store, a finished run, a ``.npy`` or ``.parquet``; None for
    the store that the other fields lead to."""
    targets: tuple[str, ...] = ("skill", "answer")
    """What is to be read off: names, columns of the source, files of labels; the first is the verdict's."""
    blocks: tuple[str, ...] = ()
    """Blocks or stages of the source that are probed; empty for all."""
    probes: tuple[str, ...] = tuple(PROBES)
    """Families of probes."""
    groups: str | None = None
    """Column of the source, or file, that names the family of each row of one's own arrays."""
    split: str = "family"
    """How rows are parted into training and test: family, or random, which lets families straddle."""
    clip_layers: tuple[int, ...] = (-4, -3, -1)
    """Hidden states of the vision tower that a store made here keeps beside the one that LLaVA reads."""
    rank: int = 32
    """Dimensions that stages are reduced to for the comparison at one rank; fewer where there are fewer."""

    def __post_init__(self) -> None:
        """Check ranges; types are the caller's business."""
        StudySpec.__post_init__(self)  # a class with slots is made anew, which super() does not know
        self.check_least(rank=1)
        if self.split not in SPLITS:
            raise InputError(f"got {self.split!r}, allowed are {', '.join(SPLITS)}", field="split")
        for name in ("targets", "probes"):
            if not getattr(self, name):
                raise InputError("got none, allowed are one or more", field=name)
        for name in ("targets", "blocks", "probes"):
            given = getattr(self, name)
            double = next((value for value in given if given.count(value) > 1), None)
            if double is not None:
                raise InputError(f"got {double!r} twice, allowed is once", field=name)
        unknown = next((name for name in self.probes if name not in PROBES), None)
        if unknown is not None:
            raise InputError(f"got {unknown!r}, allowed are {', '.join(PROBES)}", field="probes")
        if self.source is not None and (self.features is not None or self.llava is not None):
            raise InputError("got --features or --llava beside a source, allowed is one", field="source")
