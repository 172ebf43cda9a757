"""Lists inside one large JSON object, read as a stream; lists and lines are tested through their readers."""

import json
import random
from pathlib import Path

import pytest

from llava_core.data import json_stream
from llava_core.data.json_stream import json_members, read_json_record
from llava_core.errors import InputError


def coco_like(rng: random.Random) -> dict[str, object]:
    words = ["plain", "caf\u00e9", 'a "quoted" one', "[1, {", "\u732b\\", ""]

    def objects() -> list[dict[str, object]]:
        return [
            {"id": n, "name": rng.choice(words), "polygon": [[rng.random() for _ in range(9)]]}
            for n in range(rng.randrange(12))
        ]

    content: dict[str, object] = {
        "info": {"images": [1, 2], "year": 2014},
        "number": rng.choice([12345678, -1.5e10, 0]),
        "images": objects(),
        "words": rng.choice(words),
        "licenses": [1, "two", [3]],
        "annotations": objects(),
        "nothing": None,
    }
    names = list(content)
    rng.shuffle(names)
    return {name: content[name] for name in names}


@pytest.mark.parametrize("seed", range(20))
def test_yields_what_json_reads_whatever_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    content = coco_like(rng)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content, indent=rng.choice([None, 1]), ensure_ascii=False), encoding="utf-8")
    monkeypatch.setattr(json_stream, "CHUNK_BYTES", rng.choice([16, 17, 31, 64, 1 << 20]))
    found: dict[str, list[object]] = {"images": [], "annotations": []}
    for name, record in json_members(path, ("images", "annotations")):
        found[name].append(record.fields)
        assert record.number == len(found[name])
        assert read_json_record(path, record.start, record.end) == record.fields
    assert found == {name: content[name] for name in found}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "got no JSON object"),
        ("", "got no JSON object"),
        ('{"images": 3}', "field images: got a number, allowed is a list"),
        ('{"images": [1]}', "record images 1: got a number, allowed is an object"),
        ('{"images": [{}]', "the file ends inside the object"),
        ('{"images": [{}', "record images 2: broken JSON at byte 14: the file ends inside the list"),
        ('{"images": [{} {}]}', "record images 1: broken JSON at byte 15: after this record"),
        ('{"images": [{}]} {}', "something follows the end of the object"),
        ('{"images" [{}]}', "expected the name of a member and a colon"),
        ('{"a": 1 "b": 2}', "expected a comma or the end of the object"),
        ('{"a": x}', "Expecting value"),
    ],
)
def test_names_what_is_broken(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        list(json_members(path, ("images",)))
    assert problem in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        list(json_members(tmp_path / "none.json", ("images",)))
