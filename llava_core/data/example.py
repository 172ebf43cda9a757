"""One multiple-choice question, and a data set of them. Everything downstream reads these two types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A multiple-choice question. ``None`` always means unknown, never empty."""

    id: str
    """Unique within the data set."""
    question: str
    options: tuple[str, ...]
    """At least two."""
    answer: int | None
    """Index into ``options``; None for an unlabelled question."""
    split: str | None
    """Name of the part, e.g. ``train``; None where the source has no splits."""
    group: str
    """Family: what every split and every bootstrap keeps together."""
    image: Path | None = None
    """Image file that exists on disk."""
    has_image: bool = False
    """Whether the question comes with an image, present on disk or not."""
    hint: str | None = None
    caption: str | None = None
    ocr: str | None = None
    """Texts read in the image, joined by spaces."""
    subject: str | None = None
    topic: str | None = None
    category: str | None = None
    skill: str | None = None
    grade: str | None = None
    task: str | None = None
    lecture: str | None = None
    solution: str | None = None
    slice: str | None = None
    """Slice of the test part that is reported apart (bundled data)."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Further columns of the source, e.g. a user's own embedding columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A count of what a data set lacks, shown in every report."""

    what: str
    """Field or file, e.g. ``image file``."""
    split: str
    missing: int
    of: int
    """Number of questions that could have it."""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Examples in file order, with what is missing from them."""

    name: str
    examples: tuple[Example, ...]
    fingerprint: str
    """SHA-256 over the content of all records and the bytes of all image files."""
    gaps: tuple[Gap, ...] = ()

    def split(self, name: str) -> tuple[Example, ...]:
        """Return the examples of one part, in file order (empty if there is none of that name)."""
        return tuple(example for example in self.examples if example.split == name)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the parts, in order of first appearance."""
        return tuple(dict.fromkeys(e.split for e in self.examples if e.split is not None))
