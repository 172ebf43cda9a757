"""Reader of published LLM answers: ScienceQA's result format, and lists of free-form responses [edge].

A result file is an object with ``results`` (question id to option index, -1 where none was parsed) and
``outputs`` (question id to generated text); either may be absent, not both. Some published files put a
random guess where the text does not parse, so the texts are parsed again, strictly, and ``parsed`` says
where the index really comes from the text. The other format is a list of records ``problem_id question
choices NAME_response correct_answer``; its key ``correct_answer`` is dropped unread.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.data.example import Dataset, Example
from llava_core.data.json_file import json_type, read_json
from llava_core.errors import InputError
from llava_core.evaluation.freeform import parse_index
from llava_core.inference.parse import LETTERS, UNPARSED, parse_letter

TEST = "test"
_RESPONSE = "_response"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedAnswers:
    """What one model answered to questions of a data set; questions it was not asked are absent."""

    name: str
    """File stem."""
    chosen: Mapping[str, int]
    """Question id to option index as published; -1 where nothing was parsed."""
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


def read_answers(path: Path, dataset: Dataset) -> PublishedAnswers:
    """Read a file of published answers to questions of the test split.

    Parameters
    ----------
    path : Path
        JSON file in either format.
    dataset : Dataset
        Its split ``test`` is what the answers have to be about; all of it where it has no such split.

    Returns
    -------
    PublishedAnswers
        In the order of the data set.

    Raises
    ------
    InputError
        If the file is missing or broken, an index is out of range, a record belongs to other
        questions, or no answer is about the test split.
    """
    path = Path(path)
    content = read_json(path)
    examples = {example.id: example for example in dataset.examples}
    lettered = isinstance(content, dict)
    if isinstance(content, dict):
        results, texts = _result_file(path, content)
    elif isinstance(content, list):
        results, texts = {}, _responses(path, content, examples)
    else:
        raise InputError(
            f"got {json_type(content)}, allowed are an object with results and outputs, or a list of records",
            path=path,
        )
    ids = dict.fromkeys([*results, *texts])
    _check_split(path, dataset, ids)

    known = [pid for pid in examples if pid in ids]
    strict = dict.fromkeys(known, UNPARSED)
    for pid in known:
        if pid in texts:
            options = examples[pid].options
            strict[pid] = (
                parse_letter(texts[pid], len(options)) if lettered else parse_index(texts[pid], options)
            )
    silent = [pid for pid in known if pid in texts and strict[pid] == UNPARSED]
    beyond = [pid for pid in silent if lettered and parse_letter(texts[pid], len(LETTERS)) != UNPARSED]
    chosen = {
        pid: _checked(path, pid, results[pid], examples[pid]) if pid in results else strict[pid]
        for pid in known
    }
    parsed = {pid: index != UNPARSED and (not texts or strict[pid] == index) for pid, index in chosen.items()}
    return PublishedAnswers(
        name=path.stem,
        chosen=chosen,
        parsed=parsed,
        texts={pid: texts[pid] for pid in known if pid in texts},
        strict=strict,
        n_unparsed=len(silent) - len(beyond),
        n_beyond=len(beyond),
        n_guessed=sum(index != UNPARSED and not parsed[pid] for pid, index in chosen.items()),
        n_unknown=len(ids) - len(known),
    )


def _result_file(path: Path, content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the published indices, not yet checked against the options, and the texts."""
    if not {"results", "outputs"} & set(content):
        raise InputError(
            f"got the keys {', '.join(map(repr, content)) or 'none'}, allowed are results and outputs",
            path=path,
        )
    for key in ("results", "outputs"):
        if not isinstance(content.get(key, {}), dict):
            raise InputError(f"got {json_type(content[key])}, allowed is an object", path=path, field=key)
    texts = content.get("outputs", {})
    for pid, text in texts.items():
        if not isinstance(text, str):
            raise InputError(f"got {text!r}, allowed is text", path=path, record=pid, field="outputs")
    return content.get("results", {}), texts


def _responses(path: Path, records: list[Any], examples: Mapping[str, Example]) -> dict[str, str]:
    """Return the responses of a list of records; the key ``correct_answer`` is not looked at."""
    texts: dict[str, str] = {}
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise InputError(f"got {json_type(record)}, allowed is an object", path=path, record=str(number))
        pid = record.get("problem_id")
        if not isinstance(pid, str):
            raise InputError(
                f"got {pid!r}, allowed is a question id as text",
                path=path,
                record=str(number),
                field="problem_id",
            )
        if pid in texts:
            raise InputError(
                "occurs a second time, allowed is one record per question", path=path, record=pid
            )
        fields = [field for field in record if field.endswith(_RESPONSE)]
        if len(fields) != 1 or not isinstance(record[fields[0]], str):
            raise InputError(
                f"got {len(fields)} fields named *{_RESPONSE}, allowed is one, with text"
                if len(fields) != 1
                else f"got {record[fields[0]]!r}, allowed is text",
                path=path,
                record=pid,
                field=fields[0] if len(fields) == 1 else None,
            )
        example = examples.get(pid)
        if example is not None and record.get("choices", list(example.options)) != list(example.options):
            raise InputError(
                f"got {record['choices']!r}, but the data set has {list(example.options)!r}",
                path=path,
                record=pid,
                field="choices",
            )
        texts[pid] = record[fields[0]]
    return texts


def _checked(path: Path, pid: str, index: object, example: Example) -> int:
    """Return a published index if it is -1 or one of the question's options."""
    n_options = len(example.options)
    if not isinstance(index, int) or isinstance(index, bool) or not UNPARSED <= index < n_options:
        raise InputError(
            f"got {index!r}, allowed is 0 to {n_options - 1}, or -1 where nothing was parsed",
            path=path,
            record=pid,
            field="results",
        )
    return index


def _check_split(path: Path, dataset: Dataset, ids: Mapping[str, None]) -> None:
    """Raise unless some answer is about the test split, naming the split the answers are about."""
    if not ids:
        raise InputError("holds no answers", path=path)
    wanted = dataset.split(TEST) if TEST in dataset.splits else dataset.examples
    if any(example.id in ids for example in wanted):
        return
    found = Counter(example.split for example in dataset.examples if example.id in ids)
    where = ", ".join(f"{n} of split {split}" for split, n in found.items()) or "none of its questions"
    raise InputError(
        f"got answers to {where}, allowed are answers to the {len(wanted)} questions "
        f"of {'split test' if TEST in dataset.splits else 'the data set'}",
        path=path,
    )
