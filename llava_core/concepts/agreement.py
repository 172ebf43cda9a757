"""How far a finder agrees with captions whose noun phrases a person has put in brackets [edge]."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llava_core.concepts.finders import Finder
from llava_core.concepts.phrases import PhraseForm, phrase_text
from llava_core.concepts.rules import split_words
from llava_core.data.json_file import read_file
from llava_core.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedCaption:
    """A caption and its noun phrases."""

    caption: str
    phrases: tuple[str, ...]
    """As they are counted: without articles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Exact phrases that were found, over all captions."""

    n_found: int
    n_annotated: int
    n_both: int

    @property
    def precision(self) -> float:
        """Share of what was found that is annotated."""
        return self.n_both / self.n_found if self.n_found else 0.0

    @property
    def recall(self) -> float:
        """Share of what is annotated that was found."""
        return self.n_both / self.n_annotated if self.n_annotated else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.n_both / max(1, self.n_found + self.n_annotated)


def read_annotated(path: Path) -> list[AnnotatedCaption]:
    """Read one caption a line, with each noun phrase in square brackets.

    Raises
    ------
    InputError
        If the file is missing, or the brackets of a line do not match.
    """
    try:
        lines = read_file(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", path=path) from None
    return [_parsed(line, path, number) for number, line in enumerate(lines, start=1) if line.strip()]


def measure_agreement(find: Finder, annotated: Sequence[AnnotatedCaption]) -> Agreement:
    """Compare a finder with annotations; a phrase counts as often as it stands in a caption.

    Examples
    --------
    >>> told = AnnotatedCaption(caption="a cat on the mat", phrases=("cat", "mat"))
    >>> measure_agreement(lambda captions: [[["a", "cat"], ["on"]]], [told])
    Agreement(n_found=2, n_annotated=2, n_both=1)
    """
    n_found = n_annotated = n_both = 0
    for told, found in zip(annotated, phrases_found(find, annotated), strict=True):
        n_found += len(found)
        n_annotated += len(told.phrases)
        n_both += (Counter(found) & Counter(told.phrases)).total()
    return Agreement(n_found=n_found, n_annotated=n_annotated, n_both=n_both)


def phrases_found(find: Finder, annotated: Sequence[AnnotatedCaption]) -> list[list[str]]:
    """Return the phrases that a finder sees in each caption, as they are counted."""
    found = find([told.caption for told in annotated])
    texts = [[phrase_text(words, PhraseForm()) for words in phrases] for phrases in found]
    return [[text for text in mine if text] for mine in texts]


def _parsed(line: str, path: Path, number: int) -> AnnotatedCaption:
    phrases, outside = [], []
    for at, piece in enumerate(line.split("[")):
        inside, closed, rest = piece.partition("]")
        if bool(closed) != (at > 0) or "]" in rest:
            raise InputError(
                "got brackets that do not match, allowed is [a phrase] in a caption",
                path=path,
                record=f"line {number}",
            )
        if closed:
            phrases.append(phrase_text(split_words(inside), PhraseForm()))
        outside.append(inside + rest)
    return AnnotatedCaption(caption="".join(outside).strip(), phrases=tuple(phrases))
