"""Properties of the readers over drawn input: texts go through unchanged, faults are told by field."""

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llava_core.data.json_file import MOST_LEVELS, parse_json, read_json
from llava_core.data.json_stream import json_records
from llava_core.data.table import load_table
from llava_core.errors import InputError
from llava_core.settings import with_settings
from studies.spec.base import from_json, resolve, to_json
from studies.spec.ensemble import EnsembleSpec
from tests.fuzz import corpus

FILE = Path("x.json")
# No deadline for single examples: cores are shared with other tests.
few = settings(max_examples=60, deadline=None, derandomize=True, database=None)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def refusal(read: Callable[[], object]) -> str | None:
    """Return the message of the one error that a reader may raise, None where it reads."""
    try:
        read()
    except InputError as error:
        return str(error)
    return None


@few
@given(values, st.booleans(), st.booleans())
def test_json_that_can_be_used_comes_through(value: Any, as_ascii: bool, marked: bool) -> None:
    content = json.dumps(value, ensure_ascii=as_ascii).encode("utf-8-sig" if marked else "utf-8")
    assert parse_json(content, path=FILE) == value


@few
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes) -> None:
    told = refusal(lambda: parse_json(content, path=FILE))
    assert told is None or (told.startswith("x.json: ") and told.isprintable())


@few
@given(st.text(max_size=3000), st.text(max_size=300), st.text(max_size=300))
def test_a_message_is_one_printable_line_whatever_it_quotes(problem: str, record: str, field: str) -> None:
    told = str(InputError(problem, path=FILE, record=record, field=field))
    assert told.isprintable()
    assert len(told) < 8000
    assert "x.json" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "a": 2}', "holds the key 'a' twice"),
        ("[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1), "nested too deeply, allowed are 100 levels"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "a whole number of thousands of digits"),
        (r'["\ud83d"]', "half of a surrogate pair"),
    ],
)
def test_json_that_nobody_can_work_with_is_refused_by_every_reader(
    text: str, told: str, tmp_path: Path
) -> None:
    for name, content in (
        ("a.json", text),
        ("b.json", f'[{{"a": {text}}}]'),
        ("c.jsonl", f'{{"a": {text}}}\n'),
    ):
        file = tmp_path / name
        file.write_text(content)
        with pytest.raises(InputError, match=told):
            read_json(file) if name == "a.json" else list(json_records(file))


def test_levels_within_the_limit_and_whole_pairs_are_taken() -> None:
    deep = "[" * MOST_LEVELS + "]" * MOST_LEVELS
    assert json.dumps(parse_json(deep.encode(), path=FILE)) == deep
    assert parse_json(rb'"\ud83d\ude00"', path=FILE) == "\N{GRINNING FACE}"


@few
@given(st.sampled_from(["id", "question", "options"]), st.integers(0, 3))
def test_a_missing_field_is_named_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, field: str, line: int
) -> None:
    records = [corpus.questions(number) for number in range(4)]
    del records[line][field]
    file = tmp_path_factory.mktemp("own") / "own.jsonl"
    corpus.write_lines(file, records)
    (file.parent / "a.png").write_bytes(corpus.picture())
    with pytest.raises(InputError, match=rf"own\.jsonl, record line {line + 1}, field {field}: "):
        load_table(file)


@few
@given(texts.filter(lambda text: "\0" not in text), texts)
def test_a_users_words_are_kept_letter_by_letter(
    tmp_path_factory: pytest.TempPathFactory, question: str, option: str
) -> None:
    records = [
        corpus.questions(number) | {"question": question, "options": [option, "no"]} for number in range(2)
    ]
    for record in records:
        del record["image"]
    file = tmp_path_factory.mktemp("own") / "own.jsonl"
    corpus.write_lines(file, records)
    (first, _) = load_table(file).examples
    assert (first.question, first.options) == (question, (option, "no"))


@few
@given(
    folds=st.integers(2, 9), level=st.floats(0.01, 0.99), trees=st.lists(st.integers(1, 99), max_size=3),
    ablation=st.booleans(), limit=st.none() | st.integers(1, 10**6),
)  # fmt: skip
def test_a_specification_comes_back_from_its_text(
    folds: int, level: float, trees: list[int], ablation: bool, limit: int | None
) -> None:
    told = [
        f"folds={folds}", f"level={level!r}", f"curve_trees={','.join(map(str, trees))}",
        f"ablation={str(ablation).lower()}"
    ]  # fmt: skip
    spec = resolve(EnsembleSpec, "ensemble_vs_llm", settings=told, limit=limit)
    assert (spec.folds, spec.level, spec.curve_trees, spec.ablation) == (folds, level, tuple(trees), ablation)
    assert from_json(EnsembleSpec, to_json(spec), path=FILE) == spec


@few
@given(st.text(string.printable, max_size=20))
def test_any_text_is_a_setting_or_refused_in_one_line(text: str) -> None:
    from llava_core.recipes import mini_cpu

    for setting in (text, f"n_epochs={text}", f"optim.lr={text}", f"trains={text}", f"new_projector={text}"):
        told = refusal(lambda setting=setting: with_settings(mini_cpu().align, [setting]))
        assert told is None or (told.isprintable() and "allowed" in told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"split": "../../.."}, r"problems\.json, record 0, field split: got '\.\./\.\./\.\.'"),
        ({"split": ".."}, "field split"),
        ({"image": "../image.png"}, "field image"),
        ({"image": "/etc/passwd"}, "field image"),
    ],
)
def test_the_official_layout_does_not_leave_its_folder(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    from llava_core.data.load import load_dataset

    corpus.scienceqa(tmp_path)
    (tmp_path / "pid_splits.json").unlink()
    problems = json.loads((tmp_path / "problems.json").read_text())
    problems["0"] |= changes
    corpus.write_json(tmp_path / "problems.json", problems)
    with pytest.raises(InputError, match=told):
        load_dataset(tmp_path)


def test_an_id_does_not_lead_out_of_the_folder_of_images(tmp_path: Path) -> None:
    from llava_core.data.load import load_dataset

    corpus.scienceqa(tmp_path / "data")
    (tmp_path / "image.png").write_bytes(corpus.picture())
    (tmp_path / "data" / "pid_splits.json").unlink()
    problems = json.loads((tmp_path / "data" / "problems.json").read_text())
    problems["../../.."] = problems.pop("0")
    corpus.write_json(tmp_path / "data" / "problems.json", problems)
    with pytest.raises(InputError, match=r"field id: got '\.\./\.\./\.\.', allowed is the name of a folder"):
        load_dataset(tmp_path / "data")


def test_a_file_of_ones_own_may_name_images_anywhere(tmp_path: Path) -> None:
    (tmp_path / "far.png").write_bytes(corpus.picture())
    (tmp_path / "data").mkdir()
    for named in ("../far.png", str(tmp_path / "far.png")):
        corpus.write_lines(tmp_path / "data" / "own.jsonl", [corpus.questions(0) | {"image": named}])
        (example,) = load_table(tmp_path / "data" / "own.jsonl").examples
        assert example.image is not None
        assert example.image.samefile(tmp_path / "far.png")
