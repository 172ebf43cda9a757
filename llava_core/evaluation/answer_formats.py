"""What a file of answers says, in any of four formats, before it is held against a data set [edge].

| format | told by |
|---|---|
| ScienceQA's result format | a JSON object with ``results`` (id to index) and ``outputs`` (id to text) |
| free-form responses | a JSON list of ``problem_id question choices NAME_response correct_answer`` |
| lines of ``llava answer --data`` | a file ``.jsonl`` with ``id prompt text parsed`` |
| lines of LLaVA's evaluation | a file ``.jsonl`` with ``question_id text`` |

The key ``correct_answer`` is dropped unread.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llava_core.data.example import Example
from llava_core.data.json_file import json_type, read_json
from llava_core.data.records import Record, read_records
from llava_core.errors import InputError, shown

_RESPONSE = "_response"

Reading = Literal["letter", "index", "words"]
"""How texts state their answer: by a letter, a free-form index, or an option's words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """The content of a file of answers."""

    results: Mapping[str, Any]
    """Question id to stored index, not yet checked; empty where the file stores none."""
    texts: Mapping[str, str]
    """Question id to generated text."""
    reading: Reading


def read_told(path: Path, examples: Mapping[str, Example]) -> Told:
    """Read a file of answers.

    Parameters
    ----------
    path : Path
    examples : mapping of str to Example
        Questions by id; choices that a file repeats have to be theirs.

    Raises
    ------
    InputError
        If the file is missing, broken or of another format.
    """
    if path.suffix.lower() == ".jsonl":
        return _lines(path)
    content = read_json(path)
    if isinstance(content, dict):
        return _result_file(path, content)
    if isinstance(content, list):
        return Told(results={}, texts=_responses(path, content, examples), reading="index")
    raise InputError(
        f"got {json_type(content)}, allowed are an object with results and outputs, or a list of records",
        path=path,
    )


def _result_file(path: Path, content: Mapping[str, Any]) -> Told:
    if not {"results", "outputs"} & set(content):
        raise InputError(
            f"got the keys {', '.join(map(shown, content)) or 'none'}, allowed are results and outputs",
            path=path,
        )
    for key in ("results", "outputs"):
        if not isinstance(content.get(key, {}), dict):
            raise InputError(f"got {json_type(content[key])}, allowed is an object", path=path, field=key)
    texts = content.get("outputs", {})
    for pid, text in texts.items():
        if not isinstance(text, str):
            raise InputError(f"got {shown(text)}, allowed is text", path=path, record=pid, field="outputs")
    return Told(results=content.get("results", {}), texts=texts, reading="letter")


def _responses(path: Path, records: list[Any], examples: Mapping[str, Example]) -> dict[str, str]:
    """Return the responses of a list of records; the key ``correct_answer`` is not looked at."""
    texts: dict[str, str] = {}
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise InputError(f"got {json_type(record)}, allowed is an object", path=path, record=str(number))
        pid = record.get("problem_id")
        if not isinstance(pid, str):
            raise InputError(
                f"got {shown(pid)}, allowed is a question id as text",
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
                else f"got {shown(record[fields[0]])}, allowed is text",
                path=path,
                record=pid,
                field=fields[0] if len(fields) == 1 else None,
            )
        example = examples.get(pid)
        if example is not None and record.get("choices", list(example.options)) != list(example.options):
            raise InputError(
                f"got {shown(record['choices'])}, but the data set has {shown(list(example.options))}",
                path=path,
                record=pid,
                field="choices",
            )
        texts[pid] = record[fields[0]]
    return texts


def _lines(path: Path) -> Told:
    """Return the answers of JSON lines, ours or LLaVA's."""
    results: dict[str, Any] = {}
    texts: dict[str, str] = {}
    prompts: dict[str | None, str] = {}
    for record in read_records(path):
        pid = _line_id(path, record)
        if pid in texts:
            raise InputError(
                f"got {pid!r} again, allowed is one line per question", path=path, record=record.where
            )
        text = record.fields.get("text")
        if not isinstance(text, str):
            raise InputError(
                f"got {json.dumps(text)}, allowed is text", path=path, record=record.where, field="text"
            )
        texts[pid] = text
        if "parsed" in record.fields:
            results[pid] = record.fields["parsed"]
        prompt = record.fields.get("prompt")
        if not isinstance(prompt, str | None):
            raise InputError(
                f"got {shown(prompt)}, allowed is text", path=path, record=record.where, field="prompt"
            )
        prompts.setdefault(prompt, record.where)
    if len(prompts) > 1:
        first, second = list(prompts)[:2]
        raise InputError(
            f"got {second!r}, but {first!r} in {prompts[first]}; allowed is one prompt per file",
            path=path,
            record=prompts[second],
            field="prompt",
        )
    return Told(results=results, texts=texts, reading="words" if "option_texts" in prompts else "letter")


def _line_id(path: Path, record: Record) -> str:
    key = record.fields.get("id", record.fields.get("question_id"))
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise InputError(
            f"got {json.dumps(key)}, allowed is a question id, in the field id or question_id",
            path=path,
            record=record.where,
            field="id",
        )
    return str(key)
