"""A few hundred seeded faults per reader: a result, or one line that names the file; nothing else."""

from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.cases import Bench, Outcome, Reader, judged
from tests.fuzz.readers import READERS

CASES = 200
"""Times a reader's share; `benchmarks/fuzz_readers.py` runs many more."""
SEED = 20_261_126


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "bench" / "cache"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_fault_gives_a_result_or_one_line(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    bench = Bench(reader, tmp_path / "bench")
    bench.lay()
    reader.read(bench.case)  # the valid files are read
    outcomes = [bench.run(SEED, number) for number in range(round(CASES * reader.share))]
    assert [f"{number}: {o.fault}: {o.told}" for number, o in enumerate(outcomes) if o.kind == "defect"] == []
    counts = Counter(outcome.kind for outcome in outcomes)
    assert counts["refused"] > 0
    assert counts["result"] > 0
    assert (bench.beside / "secret.txt").read_text() == "secret"


def outcome_of(read: object, folder: Path) -> Outcome:
    reader = Reader(name="r", corpus=lambda folder: None, read=read)  # type: ignore[arg-type]
    (folder / "case").mkdir()
    return judged(reader, folder / "case", "f", allowed=[folder / "case"])


def test_the_judge_sees_a_defect_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llava_core.errors import InputError

    def raise_(error: Exception) -> None:
        raise error

    def spin(folder: Path) -> None:
        while True:
            pass

    monkeypatch.setattr("tests.fuzz.cases.HANG_S", 1.0)
    readers = {
        "KeyError": lambda folder: {}["a"],
        "names no file": lambda folder: raise_(InputError("broken")),
        "empty message": lambda folder: raise_(InputError("")),
        "wrote outside": lambda folder: (folder.parent / "x").write_text("x"),
        "took more than": spin,
        "MemoryError": lambda folder: bytearray(3 << 30),
    }
    for place, (told, read) in enumerate(readers.items()):
        (tmp_path / str(place)).mkdir()
        outcome = outcome_of(read, tmp_path / str(place))
        assert outcome.kind == "defect"
        assert told in outcome.told


def test_the_same_number_is_the_same_case(tmp_path: Path) -> None:
    reader = READERS["answers, our lines"]
    first, again = Bench(reader, tmp_path / "a"), Bench(reader, tmp_path / "b")
    files = []
    for bench in (first, again):
        bench.run(0, 17)
        files.append((bench.case / "m.jsonl").read_bytes())
    assert files[0] == files[1]
