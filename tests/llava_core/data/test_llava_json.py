import json
import pickle
import re
from pathlib import Path

import pytest

from llava_core.data.conversation import Turn
from llava_core.data.json_stream import json_records
from llava_core.data.llava_json import load_conversations
from llava_core.errors import InputError


def record(*said, **fields):
    """A record whose turns are said by human and gpt in turn."""
    turns = [
        {"from": ("human", "gpt")[index % 2], "value": value} if isinstance(value, str) else value
        for index, value in enumerate(said)
    ]
    return {"id": "7", "conversations": turns, **fields}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "a").mkdir(parents=True)
    for name in ("a/1.jpg", "2.png"):
        (tmp_path / "images" / name).write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def read(folder):
    def read(*records, lines=False, **options):
        path = folder / ("set.jsonl" if lines else "set.json")
        text = (
            "\n".join(map(json.dumps, records))
            if lines
            else json.dumps(records, indent=2, ensure_ascii=False)
        )
        path.write_text(text, encoding="utf-8")
        return load_conversations(path, folder / "images", **options)

    return read


RECORDS = (
    record("<image>\nWhich colour?", "Red.", "Why?", "Look.", id="one", image="a/1.jpg"),
    record("Wie heisst das? \u00e9\u4e2d\U0001f600", "So.", id=2),
    record("What differs?\n<image>\n<image>", "All.", id="three", image=["2.png", "a/1.jpg"], model="x"),
)


@pytest.mark.parametrize("lines", [False, True])
def test_records_become_conversations(lines, read, folder):
    found = read(*RECORDS, lines=lines)
    images = folder / "images"
    first, second, third = found.conversations
    assert (first.id, second.id, third.id) == ("one", "2", "three")
    assert first.turns == (
        Turn(role="human", text="Which colour?", image="first", n_images=1),
        Turn(role="assistant", text="Red."),
        Turn(role="human", text="Why?"),
        Turn(role="assistant", text="Look."),
    )
    assert first.images == (images / "a/1.jpg",)
    assert second.images == ()
    assert second.turns[0] == Turn(role="human", text="Wie heisst das? \u00e9\u4e2d\U0001f600")
    assert third.turns[0] == Turn(role="human", text="What differs?", image="first", n_images=2)
    assert third.images == (images / "2.png", images / "a/1.jpg")
    assert (found.name, found.n_with_images, found.n_images) == ("set", 2, 2)
    assert found.passed_over == {}
    assert len(found.conversations) == 3
    assert found.conversations[1] == found.conversations[-2] == second
    assert pickle.loads(pickle.dumps(found)).conversations[2] == third


def test_one_conversation_is_read_without_the_others(read):
    found = read(*RECORDS)
    content = found.conversations.path.read_bytes()
    for (start, end), source in zip(found.conversations.places.tolist(), RECORDS, strict=True):
        assert json.loads(content[start:end]) == source


@pytest.mark.parametrize(
    ("written", "front", "as_written"),
    [
        ("<image>\nWhy?", ("Why?", "first", 1), ("Why?", "first", 1)),
        ("Why?\n<image>", ("Why?", "first", 1), ("Why?", "last", 1)),
        (" Why? <image> ", ("Why?", "first", 1), ("Why?", "last", 1)),
        ("<image>", ("", "first", 1), ("", "first", 1)),
        ("<image><image>Why?", ("Why?", "first", 2), ("Why?", "first", 2)),
        ("<image>\n<image>", ("", "first", 2), ("", "first", 2)),
        ("Why?\n<image>\n<image>", ("Why?", "first", 2), ("Why?", "last", 2)),
        ("What is <image> here?", ("What is  here?", "first", 1), None),
        ("<image> and <image>", ("and", "first", 2), None),
    ],
)
def test_images_go_before_the_words_or_stay_on_their_side(written, front, as_written, read):
    source = record(written, "So.", image=["2.png", "a/1.jpg"][: written.count("<image>")])
    turn = read(source).conversations[0].turns[0]
    assert (turn.text, turn.image, turn.n_images) == front
    if as_written is None:
        with pytest.raises(InputError, match=r"field conversations\[0\].value: got <image> inside the words"):
            read(source, image_position="as written")
    else:
        turn = read(source, image_position="as written").conversations[0].turns[0]
        assert (turn.text, turn.image, turn.n_images) == as_written


def test_images_of_later_turns(read):
    source = record("<image>\nThis?", "A.", "And this? <image>", "B.", image=["2.png", "a/1.jpg"])
    turns = read(source).conversations[0].turns
    assert [(turn.text, turn.image) for turn in turns if turn.role == "human"] == [
        ("This?", "first"),
        ("And this?", "first"),
    ]


def test_what_is_passed_over_is_counted(read):
    greeting = {"from": "gpt", "value": "Hello."}
    asked, answered = {"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}
    found = read(
        record(greeting, asked, answered),
        record("Write <image> in HTML.", "<image>"),
        record("<image>\nWhy?", "So.", image="2.png"),
    )
    assert found.passed_over == {"first turn of gpt": 1, "<image> as words": 1}
    assert [turn.text for turn in found.conversations[0].turns] == ["Why?", "So."]
    assert found.conversations[1].turns == (
        Turn(role="human", text="Write <image> in HTML."),
        Turn(role="assistant", text="<image>"),
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"conversations": []}, r"record 2, field id: got nothing"),
        (record("a", "b", id=None), r"record 2, field id: got null"),
        ({"id": "7"}, r"record 2 \(id 7\), field conversations: got nothing, allowed is a list"),
        (record(), r"record 2 \(id 7\), field conversations: got 0 turns"),
        (record({"from": "gpt", "value": "a"}), r"field conversations: got 0 turns"),
        (record("a"), r"field conversations: got 1 turns .* without an answer"),
        (record("a", "b", "c"), r"field conversations: got 3 turns .* without an answer"),
        (record(3), r"field conversations\[0\]: got a number, allowed is an object"),
        (
            record({"from": "user", "value": "a"}, "b"),
            r"conversations\[0\].from: got 'user', allowed are human, gpt",
        ),
        (record("a", {"from": ["gpt"], "value": "a"}), r"conversations\[1\].from: got a list"),
        (record("a", {"from": "human", "value": "a"}), r"conversations\[1\].from: got 'human' again"),
        (record("a", "b", {"from": "gpt", "value": "a"}), r"conversations\[2\].from: got 'gpt' again"),
        (record("a", {"from": "gpt"}), r"conversations\[1\].value: got nothing, allowed is text"),
        (record("a", " \n"), r"conversations\[1\].value: got an empty answer"),
        (record(" ", "b"), r"conversations\[0\].value: got no words"),
        (record("a", "b", image="2.png"), r"conversations: got 0 <image> in human words for 1 images"),
        (record("<image><image>", "b", image="2.png"), r"conversations: got 2 <image> .* for 1 images"),
        (record("<image>", "<image>", image="2.png"), r"conversations\[1\].value: got <image> in an answer"),
        (record("<image>", "b", image=""), r"field image: got ''"),
        (record("<image>", "b", image=[]), r"field image: got \[\]"),
        (record("<image>", "b", image="/2.png"), r"field image: got '/2.png', allowed is a path relative"),
        (record("<image>", "b", image="3.png"), r"field image: got '3.png', allowed is a file in .*images"),
    ],
)
@pytest.mark.parametrize("lines", [False, True])
def test_a_fault_is_told_with_its_place(source, told, lines, read):
    with pytest.raises(InputError, match=told) as caught:
        read(RECORDS[1], source, lines=lines)
    assert "\n" not in str(caught.value)
    assert caught.value.path is not None


def test_images_may_be_looked_for_later(read, folder):
    source = record("<image>", "b", image="3.png")
    found = read(source, check_images=False)
    assert found.conversations[0].images == (folder / "images/3.png",)


def test_fingerprint_follows_records_and_images_not_folders(read, folder, tmp_path_factory):
    fewer = read(*RECORDS[:2]).fingerprint
    before = read(*RECORDS).fingerprint
    assert before == read(*RECORDS).fingerprint != fewer
    moved = tmp_path_factory.mktemp("moved") / "other"
    folder.rename(moved)
    assert load_conversations(moved / "set.json", moved / "images").fingerprint == before
    (moved / "images/2.png").write_bytes(b"another picture")
    assert load_conversations(moved / "set.json", moved / "images").fingerprint != before


def test_progress_counts_bytes_to_the_end(read, monkeypatch):
    monkeypatch.setattr("llava_core.data.llava_json._PROGRESS_EVERY", 2)
    calls = []
    found = read(*RECORDS, progress=lambda done, of: calls.append((done, of)))
    size = found.conversations.path.stat().st_size
    assert calls == [(found.conversations.places[1, 1], size), (size, size)]


def test_a_file_that_changes_underway_is_noticed(read):
    found = read(*RECORDS)
    path = found.conversations.path
    path.write_text(path.read_text()[:40], encoding="utf-8")
    with pytest.raises(InputError, match="has changed since it was read"):
        found.conversations[1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", r"record 1: broken JSON at byte 1: the file ends"),
        ('[{"id": 1}', "the file ends"),
        ('[{"id": 1},', "the file ends"),
        ('[{"id": 1} {"id": 2}]', "record 1: broken JSON at byte 11: after this record"),
        ('[{"id": 1}, {"id": }]', r"record 2: broken JSON at byte 12: Expecting value"),
        ('[{"id": "1}]', "record 1: broken JSON at byte 1: Unterminated string"),
        ('[{"id": 1},]', "record 2: broken JSON at byte 11: Expecting value"),
        ('[{"id": 1}, 3]', "record 2: got a number, allowed is an object"),
        ('[{"id": 1}] x', "something follows"),
        ('{"id": 1}\n{"id" 2}', "record 2: broken JSON at column 7"),
        ('{"id": 1}\n[2]', "record 2: got a list, allowed is an object"),
        ('[{"id": "\\ud800' + "\udcff", "not UTF-8"),
        ('{"id": "\udcff"}', "not UTF-8"),
    ],
)
def test_broken_files_are_told_in_one_line(content, told, tmp_path):
    path = tmp_path / "set.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=told):
        list(json_records(path))


@pytest.mark.parametrize("content", ["", " \n", "\n\n", "[]", "[ \n]"])
def test_a_file_without_records_is_refused(content, tmp_path):
    path = tmp_path / "set.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="holds no records"):
        load_conversations(path, tmp_path)


def test_a_missing_file_is_told(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match=r"no such file|got a folder"):
            load_conversations(path, tmp_path)


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_records_do_not_depend_on_how_the_file_is_cut(chunk_bytes, mark, tmp_path, monkeypatch):
    monkeypatch.setattr("llava_core.data.json_stream.CHUNK_BYTES", chunk_bytes)
    objects = [
        *({}, {"a": [1, -2.5e3, True, None, "x" * 40]}, {"\u00e9": "\U0001f600\u4e2d", "b": {"c": []}}),
        {"d": '\\"]},\u2028', "e": 12345678901234567890},
    ]
    for number, text in enumerate(
        (
            json.dumps(objects),
            json.dumps(objects, indent=3, ensure_ascii=False),
            " \n" + json.dumps(objects, ensure_ascii=False, separators=(",", ":")) + "\n\n",
            "\n\n".join(json.dumps(value, ensure_ascii=False) for value in objects),
        )
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(mark + text, encoding="utf-8")
        found = list(json_records(path))
        assert [one.fields for one in found] == objects
        assert [one.number for one in found] == [1, 2, 3, 4]
        content = path.read_bytes()
        assert [json.loads(content[one.start : one.end]) for one in found] == objects


def test_the_record_of_the_docs_is_read(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "your_own_data.md").read_text()
    (block,) = [
        text for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if '"conversations"' in text
    ]
    (tmp_path / "set.json").write_text(block)
    (one,) = load_conversations(tmp_path / "set.json", tmp_path, check_images=False).conversations
    assert one.turns[0] == Turn(role="human", text="What colour is the bus?", image="first")
    assert one.images == (tmp_path / "coco/train2017/000000033471.jpg",)
