"""Answers of a model, read from a file and held against a data set [edge].

A file may hold indices, texts or both, see `llava_core.evaluation.answer_formats`. Some published files put a
random guess where the text does not parse, so the texts are parsed again, strictly, and ``parsed`` says where
the stored index really comes from the text.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llava_core.data.example import Dataset, Example
from llava_core.errors import InputError, shown
from llava_core.evaluation.answer_formats import Reading, read_told
from llava_core.evaluation.freeform import EMPTY, NO_OPTION, SEVERAL_NAMED, read_response
from llava_core.inference.parse import (
    LETTERS,
    UNPARSED,
    announced_letters,
    occurring_options,
    parse_answer,
    parse_letter,
)

TEST = "test"
BEYOND_LETTER = "a letter beyond the options"
SEVERAL_LETTERS = "several answers announced"
NO_LETTER = "no letter stated"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedAnswers:
    """What one model answered to questions of a data set; questions it was not asked are absent."""

    name: str
    """File stem."""
    chosen: Mapping[str, int]
    """Question id to option index as stored, else as parsed; -1 where nothing was parsed."""
    parsed: Mapping[str, bool]
    """Question id to whether ``chosen`` was read from the text; false for -1 and for published guesses."""
    texts: Mapping[str, str]
    """Question id to generated text, where the file has one."""
    strict: Mapping[str, int]
    """Question id to what strict parsing of the text gives; -1 for none within the options."""
    n_unparsed: int
    """Texts without a letter A to E (free-form: that name no single option)."""
    n_beyond: int
    """Texts with a letter beyond the options of their question."""
    n_guessed: int
    """Published indices that the text of the question does not give."""
    n_unknown: int
    """Answers to questions that the data set does not hold; they are left out."""
    reading: Reading = "letter"
    """How the texts state their answers."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Question id to why its text is unparsed or beyond."""


def read_answers(path: Path, dataset: Dataset, *, part: str = TEST) -> PublishedAnswers:
    """Read a file of answers to questions of one part of a data set.

    Parameters
    ----------
    path : Path
        In any format of `llava_core.evaluation.answer_formats`.
    dataset : Dataset
    part : str
        Some answer has to be about it; about any question where the data set has no such part.

    Returns
    -------
    PublishedAnswers
        In the order of the data set.

    Raises
    ------
    InputError
        If the file is missing or broken, an index is out of range, a record belongs to other
        questions, or no answer is about the part.
    """
    path = Path(path)
    examples = {example.id: example for example in dataset.examples}
    told = read_told(path, examples)
    ids = dict.fromkeys([*told.results, *told.texts])
    _check_part(path, dataset, ids, part)

    known = [pid for pid in examples if pid in ids]
    strict = dict.fromkeys(known, UNPARSED)
    reasons: dict[str, str] = {}
    for pid in known:
        if pid in told.texts:
            strict[pid], reason = _strict(told.texts[pid], examples[pid].options, told.reading)
            if reason:
                reasons[pid] = reason
    n_beyond = list(reasons.values()).count(BEYOND_LETTER)
    chosen = {
        pid: _checked(path, pid, told.results[pid], examples[pid]) if pid in told.results else strict[pid]
        for pid in known
    }
    parsed = {
        pid: index != UNPARSED and (not told.texts or strict[pid] == index) for pid, index in chosen.items()
    }
    return PublishedAnswers(
        name=path.stem,
        chosen=chosen,
        parsed=parsed,
        texts={pid: told.texts[pid] for pid in known if pid in told.texts},
        strict=strict,
        n_unparsed=len(reasons) - n_beyond,
        n_beyond=n_beyond,
        n_guessed=sum(index != UNPARSED and not parsed[pid] for pid, index in chosen.items()),
        n_unknown=len(ids) - len(known),
        reading=told.reading,
        reasons=reasons,
    )


def _strict(text: str, options: tuple[str, ...], reading: Reading) -> tuple[int, str]:
    """Return the option that a text states and, where it states none, why."""
    if reading == "index":
        return read_response(text, options)
    parse = parse_letter(text, len(options)) if reading == "letter" else parse_answer(text, options)
    if parse != UNPARSED:
        return parse, ""
    if not text.strip():
        return UNPARSED, EMPTY
    if reading == "words":
        return UNPARSED, SEVERAL_NAMED if occurring_options(text, options) else NO_OPTION
    if parse_letter(text, len(LETTERS)) != UNPARSED:
        return UNPARSED, BEYOND_LETTER
    return UNPARSED, SEVERAL_LETTERS if len(announced_letters(text)) > 1 else NO_LETTER


def _checked(path: Path, pid: str, index: object, example: Example) -> int:
    """Return a published index if it is -1 or one of the question's options."""
    n_options = len(example.options)
    if not isinstance(index, int) or isinstance(index, bool) or not UNPARSED <= index < n_options:
        raise InputError(
            f"got {shown(index)}, allowed is 0 to {n_options - 1}, or -1 where nothing was parsed",
            path=path,
            record=pid,
            field="results",
        )
    return index


def _check_part(path: Path, dataset: Dataset, ids: Mapping[str, None], part: str) -> None:
    """Raise unless some answer is about the part, naming the part the answers are about."""
    if not ids:
        raise InputError("holds no answers", path=path)
    wanted = dataset.split(part) if part in dataset.splits else dataset.examples
    if any(example.id in ids for example in wanted):
        return
    found = Counter(example.split for example in dataset.examples if example.id in ids)
    where = ", ".join(f"{n} of split {split}" for split, n in found.items()) or "none of its questions"
    raise InputError(
        f"got answers to {where}, allowed are answers to the {len(wanted)} questions "
        f"of {f'split {part}' if part in dataset.splits else 'the data set'}",
        path=path,
    )
