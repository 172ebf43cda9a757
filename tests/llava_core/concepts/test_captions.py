import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llava_core.concepts.captions import Columns, caption_chunks
from llava_core.errors import InputError


def read(path: Path, columns: Columns | None = None, **named) -> list[tuple]:
    return [
        row
        for chunk in caption_chunks(path, columns or Columns(), **named)
        for row in zip(chunk.rows, chunk.captions, chunk.ids, chunk.images, chunk.urls, strict=True)
    ]


def test_tsv_of_cc3m(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a  cat\thttp://1\r\n\na \u732b\thttp://2\n", encoding="utf-8")
    assert read(tmp_path / "a.tsv") == [
        (0, "a cat", None, None, "http://1"),
        (1, "a \u732b", None, None, "http://2"),
    ]


def test_tsv_with_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("\ufeffimage\tcaption\tkey\n1.jpg\ta cat\t7\n\ta dog\t8\n")
    assert read(tmp_path / "a.tsv", Columns(id="key")) == [
        (0, "a cat", "7", "1.jpg", None),
        (1, "a dog", "8", None, None),
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_other_types(tmp_path: Path, suffix: str) -> None:
    rows = [{"text": "a cat", "id": 1, "image": "1.jpg"}, {"text": "a dog", "id": 2, "image": None}]
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows))
    assert read(path, Columns(caption="text")) == [
        (0, "a cat", "1", "1.jpg", None),
        (1, "a dog", "2", None, None),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_chunks_of_any_size_hold_the_same(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.tsv").write_text("".join(f"cat {i}\tu{i}\n" for i in range(7)))
    chunks = list(caption_chunks(tmp_path / "a.tsv", Columns(), size=size))
    assert [len(chunk.captions) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert [c for chunk in chunks for c in chunk.captions] == [f"cat {i}" for i in range(7)]
    assert chunks[-1].done == chunks[-1].total == (tmp_path / "a.tsv").stat().st_size


@pytest.mark.parametrize(
    ("content", "columns", "problem"),
    [
        (b"a cat\tu\na dog\n", Columns(), "record line 2: got 1 cells, allowed are 2: caption, url"),
        (b"a cat\tu\n \tv\n", Columns(), "record line 2, field caption: got ' '"),
        (b"a cat\tu\n\xff\tv\n", Columns(), "record line 2: not UTF-8 text"),
        (b"a cat\tu\n", Columns(need_image=True), "record line 1, field image: got nothing"),
        (b"a cat\tu\n", Columns(id="key"), "allowed is a header with 'key'"),
        (b"a cat\tu\n", Columns(caption="text"), "allowed is a header with 'text'"),
        (b"\n\n", Columns(), "holds no captions"),
    ],
)
def test_bad_tsv_is_named(tmp_path: Path, content: bytes, columns: Columns, problem: str) -> None:
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(InputError) as told:
        read(tmp_path / "a.tsv", columns)
    assert problem in str(told.value)
    assert str(tmp_path / "a.tsv") in str(told.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"caption": 3}', "record 2, field caption: got 3"),
        ('{"caption": null}', "record 2, field caption: got nothing"),
        ('{"text": "a dog"}', "record 2, field caption: got nothing, allowed is a value"),
        ('{"caption": "a dog", "id": [1]}', "record 2, field id: got [1], allowed is a text or a whole"),
        ('{"caption": "a dog"', "record 2: broken JSON"),
        ('["a dog"]', "record 2: got a list, allowed is an object"),
    ],
)
def test_bad_json_is_named(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"caption": "a cat"}}\n{line}\n')
    with pytest.raises(InputError) as told:
        read(tmp_path / "a.jsonl")
    assert problem in str(told.value)


def test_bad_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        read(tmp_path / "a.parquet")
    pq.write_table(pa.table({"caption": ["a cat", None]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="record row 2, field caption: got nothing"):
        read(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="got columns caption, allowed is a file with column 'text'"):
        read(tmp_path / "b.parquet", Columns(caption="text"))


def test_bad_records_can_be_passed_over_but_not_broken_json(tmp_path: Path) -> None:
    faults: list[InputError] = []
    (tmp_path / "a.tsv").write_text("a cat\tu\na dog\na cow\tw\n")
    assert [row[:2] for row in read(tmp_path / "a.tsv", on_bad=faults.append)] == [(0, "a cat"), (2, "a cow")]
    assert [fault.record for fault in faults] == ["line 2"]
    (tmp_path / "a.jsonl").write_text('{"caption": "a cat"}\n{"caption"\n')
    with pytest.raises(InputError, match="broken JSON"):
        read(tmp_path / "a.jsonl", on_bad=faults.append)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got a file of type '.csv', allowed are .tsv"):
        read(tmp_path / "a.csv")
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "a.tsv")
