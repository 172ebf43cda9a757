import json
import select
import shutil
import time
from collections import Counter
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from llava_core.cli import app
from llava_core.concepts import scan
from llava_core.concepts.agreement import read_annotated
from llava_core.concepts.coverage import measure_coverage
from llava_core.concepts.expand import BRIEF_INSTRUCTIONS
from llava_core.concepts.filter import FilterConfig, filter_captions
from llava_core.concepts.scan import ScanConfig, scan_captions
from llava_core.concepts.walk import WalkConfig
from llava_core.data.llava_json import load_conversations
from llava_core.errors import InputError

HERE = Path(__file__).parent
TELLING = FilterConfig(walk=WalkConfig(max_per_phrase=3), min_count=2)


@pytest.fixture(scope="module")
def captions() -> list[str]:
    halves = [read_annotated(HERE / f"captions_{half}.txt") for half in ("tuning", "held_out")]
    return [told.caption for half in halves for told in half]


@pytest.fixture
def tsv(captions: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "captions.tsv"
    path.write_text("".join(f"{caption}\thttp://{row}\n" for row, caption in enumerate(captions)))
    return path


def llava_filter(*words: object) -> str:
    result = CliRunner().invoke(app, ["filter", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_the_folder_tells_what_was_kept_and_why(tsv: Path, captions: list[str], tmp_path: Path) -> None:
    told = filter_captions([tsv], tmp_path / "out", TELLING, n_processes=1)
    assert sorted(contents(tmp_path / "out")) == [
        "concepts.parquet",
        "coverage.svg",
        "pairs.parquet",
        "summary.json",
    ]
    assert not (tmp_path / "out.parts").exists()
    pairs = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pylist()
    concepts = {
        row["phrase"]: (row["count_before"], row["count_after"])
        for row in pq.read_table(tmp_path / "out" / "concepts.parquet").to_pylist()
    }
    assert told == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (told["n_captions"], told["n_kept"]) == (200, len(pairs))
    assert 20 < len(pairs) < 200
    assert all(pair["caption"] == captions[pair["row"]] for pair in pairs)
    assert all(pair["url"] == f"http://{pair['row']}" for pair in pairs)
    assert all(pair["added_for"] in pair["phrases"] for pair in pairs)
    after = Counter(phrase for pair in pairs for phrase in pair["phrases"])
    assert {phrase: n for phrase, (_, n) in concepts.items()} == after
    assert all(before >= 2 and n >= min(before, 3) for before, n in concepts.values())
    # "camera" ends a caption of each half: found by eye.
    assert concepts["camera"][0] == sum("camera" in caption for caption in captions)


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl", ".parquet"])
def test_every_type_of_file_gives_the_same(
    tsv: Path, captions: list[str], tmp_path: Path, suffix: str
) -> None:
    rows = [{"caption": caption, "url": f"http://{row}"} for row, caption in enumerate(captions)]
    path = tmp_path / f"captions{suffix}"
    if suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    elif suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    told = llava_filter(
        "--captions", path, "--out", tmp_path / "out", "--min-count", 2, "--max-per-phrase", 3,
        "--processes", 1,
    )  # fmt: skip
    filter_captions([tsv], tmp_path / "other", TELLING, n_processes=1)
    found, expected = (
        pq.read_table(tmp_path / out / "pairs.parquet").drop_columns("file") for out in ("out", "other")
    )
    assert found == expected
    assert told.startswith(f"{len(found)} of 200 captions")
    assert told.endswith(f"written: {tmp_path / 'out'}\n")


def test_processes_and_chunks_do_not_matter(tsv: Path, tmp_path: Path) -> None:
    config = replace(TELLING, records=True, image_names="{row:09d}.jpg")
    filter_captions([tsv], tmp_path / "one", config, n_processes=1)
    filter_captions([tsv], tmp_path / "two", config, n_processes=2, chunk_captions=30)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_several_files_are_as_one(tsv: Path, captions: list[str], tmp_path: Path) -> None:
    rows = [{"caption": caption, "url": f"http://{row}"} for row, caption in enumerate(captions)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows[:70])))
    pq.write_table(pa.Table.from_pylist(rows[70:]), tmp_path / "b.parquet")
    filter_captions([tsv], tmp_path / "one", TELLING, n_processes=1)
    filter_captions([tmp_path / "a.jsonl", tmp_path / "b.parquet"], tmp_path / "two", TELLING, n_processes=1)
    for name in ("caption", "added_for"):
        one, two = (pq.read_table(tmp_path / out / "pairs.parquet")[name] for out in ("one", "two"))
        assert one.to_pylist() == two.to_pylist()


def test_a_killed_run_goes_on(tsv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = filter_captions([tsv], tmp_path / "whole", TELLING, n_processes=1)
    searched: list[int] = []
    find = scan.find_in_chunk

    def until(n_chunks: int):
        def search(captions, sources, **named):
            if len(searched) >= n_chunks:
                raise KeyboardInterrupt
            searched.append(len(captions))
            return find(captions, sources, **named)

        return search

    monkeypatch.setattr(scan, "find_in_chunk", until(4))
    with pytest.raises(KeyboardInterrupt):
        filter_captions([tsv], tmp_path / "out", TELLING, n_processes=1, chunk_captions=30)
    assert not (tmp_path / "out").exists()
    n_kept = len(list((tmp_path / "out.parts").rglob("chunk-*.npz")))
    assert n_kept > 0
    searched.clear()
    monkeypatch.setattr(scan, "find_in_chunk", until(100))
    again = filter_captions([tsv], tmp_path / "out", TELLING, n_processes=1, chunk_captions=30)
    assert again == whole
    assert len(searched) == 7 - n_kept
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_workers_are_sent_files(tsv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a message that a killed worker left half, the other half would be waited for for ever."""
    lengths = []

    class Telling(scan._Here):
        def submit(self, call, /, *args, **named):
            done = super().submit(call, *args, **named)
            lengths.extend(len(ForkingPickler.dumps(sent)) for sent in ((call, args, named), done.result()))
            return done

    monkeypatch.setattr(scan, "worker_pool", lambda n_processes: Telling())
    filter_captions([tsv], tmp_path / "out", TELLING, n_processes=2)
    assert len(lengths) == 2
    assert max(lengths) < select.PIPE_BUF < tsv.stat().st_size


def test_parts_of_other_inputs_are_not_taken_up(tsv: Path, tmp_path: Path) -> None:
    def resumed(config: ScanConfig) -> int:
        return scan_captions([tsv], config, parts=tmp_path / "parts", n_processes=1).n_resumed

    assert resumed(ScanConfig()) == 0
    assert resumed(ScanConfig()) == 1
    assert resumed(ScanConfig(form=replace(ScanConfig().form, singular=True))) == 0
    tsv.write_text(tsv.read_text() + "a cat\thttp://cat\n")
    assert resumed(ScanConfig()) == 0


def test_records_are_those_of_stage_1(tsv: Path, tmp_path: Path) -> None:
    llava_filter(
        "--captions", tsv, "--out", tmp_path / "out", "--min-count", 2, "--records",
        "--image-names", "{row:09d}.jpg", "--processes", 1,
    )  # fmt: skip
    pairs = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pylist()
    found = load_conversations(tmp_path / "out" / "chat.json", tmp_path, check_images=False)
    assert [c.id for c in found.conversations] == [f"{pair['row']:09d}" for pair in pairs]
    assert [c.turns[1].text for c in found.conversations] == [pair["caption"] for pair in pairs]
    assert {c.turns[0].text for c in found.conversations} == set(BRIEF_INSTRUCTIONS)
    assert len(set(BRIEF_INSTRUCTIONS)) == 11
    records = json.loads((tmp_path / "out" / "chat.json").read_text())
    first = [record["conversations"][0]["value"].startswith("<image>\n") for record in records]
    last = [record["conversations"][0]["value"].endswith("\n<image>") for record in records]
    assert all(a != b for a, b in zip(first, last, strict=True))
    assert 0.3 < np.mean(first) < 0.7
    again = tmp_path / "again"
    llava_filter(
        "--captions", tsv, "--out", again, "--min-count", 2, "--records",
        "--image-names", "{row:09d}.jpg", "--processes", 1, "--seed", 1,
    )  # fmt: skip
    assert json.loads((again / "chat.json").read_text()) != records


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--records",), "record line 1, field image: got nothing"),
        (("--image-names", "x.jpg"), "field image-names: got 'x.jpg', allowed are {row}"),
        (("--image-names", "{name}.jpg"), "field image-names: got '{name}.jpg'"),
        (("--image-names", "{row.x}.jpg"), "field image-names: got '{row.x}.jpg'"),
        (("--image-names", "{row[0]}.jpg"), "field image-names: got '{row[0]}.jpg'"),
        (("--finder", "nltk"), "field finder: got 'nltk', allowed is rules, or spacy:MODEL"),
        (("--min-count", "500"), "phrases stands in 500 captions; lower --min-count"),
        (("--caption-column", "text"), "allowed is a header with 'text'"),
    ],
)
def test_bad_input_is_told(tsv: Path, tmp_path: Path, words: tuple[str, ...], problem: str) -> None:
    given = ["filter", "--captions", str(tsv), "--out", str(tmp_path / "out"), "--processes", "1", *words]
    with pytest.raises(InputError) as told:
        CliRunner().invoke(app, given, catch_exceptions=False)
    assert problem in str(told.value)
    assert not (tmp_path / "out").exists()


def test_bad_records_are_counted_where_that_is_asked_for(tsv: Path, tmp_path: Path) -> None:
    tsv.write_text("only one cell\n" + tsv.read_text())
    told = llava_filter(
        "--captions", tsv, "--out", tmp_path / "out", "--min-count", 2, "--skip-bad", "--processes", 1
    )
    assert "1 bad records passed over, the first: " in told
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["n_captions"], summary["n_bad_records"]) == (200, 1)
    assert "line 1: got 1 cells" in summary["bad_records"][0]


def test_folders_of_others_are_not_replaced(tsv: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="not ours to replace"):
        filter_captions([tsv], out, TELLING, n_processes=1)
    shutil.rmtree(out)
    filter_captions([tsv], out, TELLING, n_processes=1)
    (out / "stale.txt").write_text("old")
    filter_captions([tsv], out, replace(TELLING, min_count=3), n_processes=1)
    assert not (out / "stale.txt").exists()


def test_a_finished_filter_is_not_done_again(
    tsv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, parts = tmp_path / "out", tmp_path / "out.parts"
    told = filter_captions([tsv], out, TELLING, n_processes=1)
    parts.mkdir()  # as if it had been killed just before its end
    (tmp_path / ".out.writing").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("llava_core.concepts.filter.scan_captions", None)
        assert filter_captions([tsv], out, TELLING, n_processes=1) == json.loads(json.dumps(told))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.tsv", "out"]
    tsv.write_text(tsv.read_text() + "a cat\thttp://cat\n")
    assert filter_captions([tsv], out, TELLING, n_processes=1)["n_captions"] == told["n_captions"] + 1


def test_a_folder_of_another_command_stays_with_its_paid_replies(tsv: Path, tmp_path: Path) -> None:
    generated = tmp_path / "instruct"
    generated.mkdir()
    (generated / "summary.json").write_text("{}")
    (generated / "replies.sqlite").write_text("paid")
    with pytest.raises(InputError, match="not ours to replace"):
        filter_captions([tsv], generated, TELLING, n_processes=1)
    assert (generated / "replies.sqlite").read_text() == "paid"


def test_coverage_counts_phrases_and_follows_their_order() -> None:
    before = np.array([1000, 3, 40, 40, 7], dtype=np.int64)
    after = np.array([120, 3, 40, 35, 7], dtype=np.int64)
    told = measure_coverage(before, after)
    assert dict(told.at_least) == {
        1: (5, 5), 3: (5, 5), 10: (3, 3), 30: (3, 3), 100: (1, 1), 300: (1, 0), 1000: (1, 0),
    }  # fmt: skip
    assert told.before[0] == 1000
    assert told.after[0] == 120
    assert (np.diff(told.before) <= 0).all()
    assert (told.after_low <= told.after).all()
    assert (told.after <= told.after_high).all()


def test_processes_of_others_outlive_a_filter_that_fails(tsv, tmp_path, monkeypatch):
    other = get_context("spawn").Process(target=time.sleep, args=(600,))
    other.start()

    def fails(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(scan, "find_in_chunk", fails)
    with pytest.raises(KeyboardInterrupt):
        filter_captions([tsv], tmp_path / "out", TELLING, n_processes=1, chunk_captions=30)
    assert other.is_alive()
    other.kill()
    other.join()
