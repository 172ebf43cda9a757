"""ScienceQA in three layouts: the same questions come out of each reader."""

import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from llava_core.data.example import Dataset, Example
from llava_core.data.llava_records import write_records
from llava_core.data.load import load_dataset
from llava_core.data.prompts import LETTER_ONLY, PROMPTS
from llava_core.data.scienceqa_records import load_scienceqa_records
from llava_core.errors import InputError

META = ("task", "grade", "subject", "topic", "category", "skill")
"""What LLaVA records do not hold."""
FIELDS = ("question", "choices", "answer", "hint", *META, "lecture", "solution")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "llava_core" / "images"


def png(colour: str) -> bytes:
    written = BytesIO()
    Image.new("RGB", (8, 6), colour).save(written, "png")
    return written.getvalue()


IMAGES = {"3": png("red"), "11": png("blue"), "20": png("red")}


def problems() -> dict[str, dict[str, Any]]:
    meta = dict.fromkeys(META, "") | {"grade": "grade4", "subject": "natural science", "topic": "physics"}
    base = meta | {"hint": "", "lecture": "", "solution": "", "image": None, "split": "train"}
    return {
        "3": base | {
            "question": "Which floats?", "choices": ["a cork", "an iron nail"], "answer": 0,
            "image": "image.png", "hint": "Both lie in water.\nThe water is cold.",
            "lecture": "Light things float.",
            "solution": "A cork is light.\n\nA nail is not.",
        },
        "5": base | {"question": "Is it so?", "choices": ["no", "yes", "(maybe)"], "answer": 2},
        "11": base | {
            "question": "Finish the sentence.\nThe sky is ().", "choices": ["blue", "A. or B."], "answer": 0,
            "image": "image.png", "split": "val", "solution": "Look up.",
        },
        "20": base | {
            "question": "Which is red?", "choices": ["sky", "blood", "grass", "milk", "snow"], "answer": 1,
            "image": "image.png", "split": "test", "lecture": "Colours differ.",
        },
    }  # fmt: skip


def official(folder: Path) -> Path:
    for pid, content in IMAGES.items():
        place = folder / "images" / problems()[pid]["split"] / pid / "image.png"
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
    (folder / "problems.json").write_text(json.dumps(problems()))
    return folder


def parquet(folder: Path, *, with_pid: bool, names: dict[str, list[str]] | None = None) -> Path:
    """Write what the datasets library writes: a structure of bytes and path, 8-bit answers."""
    kind = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("question", pa.string()),
            ("choices", pa.list_(pa.string())),
            ("answer", pa.int8()),
            *((name, pa.string()) for name in ("hint", *META, "lecture", "solution")),
            *([("pid", pa.string())] if with_pid else []),
        ]
    )
    files = names or {
        "train-00000-of-00001-1028f23e353fbe3e": ["3", "5"],
        "validation-00000-of-00001-6c7328ff6c84284c": ["11"],
        "test-00000-of-00001-f0e719df791966ff": ["20"],
    }
    folder.mkdir(parents=True)
    for name, pids in files.items():
        rows = [
            {field: problems()[pid][field] for field in FIELDS}
            | {"image": {"bytes": IMAGES[pid], "path": "image.png"} if pid in IMAGES else None}
            | ({"pid": pid} if with_pid else {})
            for pid in pids
        ]
        pq.write_table(pa.Table.from_pylist(rows, kind), folder / f"{name}.parquet")
    return folder


def lettered(choices: list[str]) -> str:
    return " ".join(f"({'ABCDE'[k]}) {choice}" for k, choice in enumerate(choices))


def records(folder: Path, layout: str) -> Path:
    """Write LLaVA's records of the questions, told anew and not by the code under test."""
    told = []
    for pid, p in problems().items():
        context, letter = p["hint"] or "N/A", "ABCDE"[p["answer"]]
        human = {
            "QCM": f"{p['question']}\nContext: {context}\nOptions: {lettered(p['choices'])}",
            "CQM": f"Context: {context}\nQuestion: {p['question']}\nOptions: {lettered(p['choices'])}",
        }[layout]
        head = f"LECTURE: {p['lecture']}\n" if p["lecture"] else ""
        head += f"SOLUTION: {p['solution']}\n" if p["solution"] else ""
        entry = {"id": pid}
        if p["image"]:
            entry["image"] = f"{pid}/image.png"
            human += "\n<image>"
            (folder / pid).mkdir(parents=True, exist_ok=True)
            (folder / pid / "image.png").write_bytes(IMAGES[pid])
        turns = [("human", human), ("gpt", f"{head}###\nANSWER: {letter}.")]
        entry["conversations"] = [{"from": side, "value": words} for side, words in turns]
        told.append(entry)
    path = folder / "llava_train_QCM-LEPA.json"
    path.write_text(json.dumps(told, indent=2))
    return path


def without_places(data: Dataset) -> list[tuple[Example, bytes | None]]:
    """Examples with the bytes of their image in place of its path."""
    return [
        (replace(e, image=None), None if e.image is None else e.image.read_bytes()) for e in data.examples
    ]


def test_parquet_gives_the_examples_of_the_official_layout(tmp_path: Path) -> None:
    first = without_places(load_dataset(official(tmp_path / "official")))
    parquet(tmp_path / "hf" / "data", with_pid=True)
    assert without_places(load_dataset(tmp_path / "hf")) == first
    assert without_places(load_dataset(tmp_path / "hf" / "data")) == first
    assert {e.split for e, _ in first} == {"train", "val", "test"}
    assert first[0][0].group == first[3][0].group, "the two red images link them"


@pytest.mark.parametrize("layout", ["QCM", "CQM"])
def test_records_give_the_same_but_for_what_they_do_not_hold(tmp_path: Path, layout: str) -> None:
    first = without_places(load_dataset(official(tmp_path / "official")))
    found = without_places(load_dataset(records(tmp_path / "llava", layout)))
    unknown = dict.fromkeys((*META, "split"))
    assert found == [(replace(example, **unknown), content) for example, content in first]


def test_ids_are_part_and_row_where_a_copy_has_none(tmp_path: Path) -> None:
    names = {
        "train-00000-of-00002": ["3"], "train-00001-of-00002": ["5"], "validation-0": ["11"], "test-0": ["20"]
    }  # fmt: skip
    data = load_dataset(parquet(tmp_path / "hf", with_pid=False, names=names))
    assert [e.id for e in data.examples] == ["train-0", "train-1", "validation-0", "test-0"]
    assert [e.split for e in data.examples] == ["train", "train", "val", "test"]
    named = load_dataset(official(tmp_path / "official"))
    strip = [replace(e, id="", group="") for e, _ in without_places(data)]
    assert strip == [replace(e, id="", group="") for e, _ in without_places(named)]


def test_images_are_kept_once_and_mended(tmp_path: Path, cache: Path) -> None:
    source = parquet(tmp_path / "hf", with_pid=True)
    data = load_dataset(source)
    files = sorted(cache.rglob("*.png"))
    assert len(files) == 2, "two of the three images are the same"
    assert {e.image for e in data.examples if e.has_image} == set(files)
    whole = files[0].read_bytes()
    before = files[1].stat().st_mtime_ns
    files[0].write_bytes(whole[:9])
    again = load_dataset(source)
    assert files[0].read_bytes() == whole
    assert files[1].stat().st_mtime_ns == before
    assert again == data
    assert sorted(cache.rglob("*.*")) == files


def test_a_single_file_needs_no_name_of_a_part(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "hf", with_pid=False, names={"questions": ["3", "5"]})
    data = load_dataset(folder / "questions.parquet")
    assert [(e.id, e.split) for e in data.examples] == [("row-0", None), ("row-1", None)]
    alone = load_dataset(
        parquet(tmp_path / "v", with_pid=False, names={"validation-0": ["11"]}) / "validation-0.parquet"
    )
    assert [(e.id, e.split) for e in alone.examples] == [("validation-0", "val")]


def test_faulty_parquet_is_named(tmp_path: Path) -> None:
    def told(pattern: str, folder: Path) -> None:
        with pytest.raises(InputError, match=pattern):
            load_dataset(folder)

    told(r"allowed are names that begin with train", parquet(
        tmp_path / "a", with_pid=True, names={"train-0": ["3"], "rest": ["5"]}
    ))  # fmt: skip
    told("record row 1: got '3' again", parquet(tmp_path / "b", with_pid=True, names={"train-0": ["3", "3"]}))
    broken = tmp_path / "c"
    broken.mkdir()
    (broken / "train-0.parquet").write_bytes(b"PAR1 and no more")
    told(r"train-0\.parquet: cannot be read as parquet", broken)
    table = {"question": ["?"], "choices": [["a", "b"]], "answer": [0]}
    for name, more, pattern in [
        (
            "d",
            {"image": [{"bytes": b"no image", "path": "x"}]},
            "row 0, field image: got a file that cannot be read as an image",
        ),
        ("e", {"image": ["x.png"]}, "row 0, field image: got no bytes"),
        ("f", {"answer": [2]}, "record train-0, field answer: got 2, allowed is 0 to 1"),
        ("g", {"choices": [["a"]]}, "record train-0, field choices: got"),
    ]:
        (tmp_path / name).mkdir()
        pq.write_table(pa.table(table | more), tmp_path / name / "train-0.parquet")
        told(pattern, tmp_path / name)


def record(human: str, gpt: str, **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": human}, {"from": "gpt", "value": gpt}]
    return {"id": "1", "conversations": turns} | more


def read(tmp_path: Path, *told: dict[str, Any]) -> tuple[Example, ...]:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(told))
    return load_scienceqa_records(path).examples


QCM = "Why?\nContext: N/A\nOptions: (A) so (B) because (C) (B)"


@pytest.mark.parametrize(
    ("gpt", "answer", "lecture", "solution"),
    [
        ("B", 1, None, None),
        ("The answer is C.", 2, None, None),
        ("Some reason. More. The answer is A.", 0, None, "Some reason. More."),
        (" The answer is A.", 0, None, None),
        ("The answer is B. BECAUSE: it is.", 1, None, "it is."),
        ("LECTURE: Read.\nSOLUTION: It\nis.\n###\nANSWER: B.", 1, "Read.", "It\nis."),
        ("SOLUTION: x\n###\nANSWER: A.", 0, None, "x"),
        ("###\nANSWER: A.", 0, None, None),
    ],
)
def test_answers_and_reasons(tmp_path: Path, gpt: str, answer: int, lecture: str, solution: str) -> None:
    (example,) = read(tmp_path, record(QCM, gpt))
    assert (example.answer, example.lecture, example.solution) == (answer, lecture, solution)
    assert (example.question, example.options, example.hint) == ("Why?", ("so", "because", "(B)"), None)


@pytest.mark.parametrize(
    ("human", "question", "hint", "options"),
    [
        ("<image>\nContext: Look.\nThere.\nWhich?\nA. x\nB. y", "Which?", "Look.\nThere.", ("x", "y")),
        ("Which?\nSay it.\nA. x\nB. y\nC. z", "Which?\nSay it.", None, ("x", "y", "z")),
        ("Which?\nA. Yours,\nEmma\nB. yours,\nEmma", "Which?", None, ("Yours,\nEmma", "yours,\nEmma")),
        (f"Q\nA. x\nB. y\n{LETTER_ONLY}", "Q", None, ("x", "y")),
    ],
)  # fmt: skip
def test_the_layout_of_v1_5(tmp_path: Path, human: str, question: str, hint: str, options: tuple) -> None:
    more = {"image": "lost.png"} if "<image>" in human else {}
    (example,) = read(tmp_path, record(human, "A", **more))
    assert (example.question, example.hint, example.options) == (question, hint, options)
    assert (example.has_image, example.image) == (bool(more), None)


def test_a_lost_image_is_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(record(QCM + "\n<image>", "A", image="1/image.png")))
    gaps = {gap.what: (gap.missing, gap.of) for gap in load_dataset(path).gaps}
    assert gaps["image file"] == (1, 1)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (
            [record("Describe it.", "A")],
            "r.json, record 1, field conversations: got 'Describe it.', allowed is a",
        ),
        ([record(QCM + "\nBECAUSE: x", "A")], "allowed is a question with context and lettered options"),
        ([record("?\nContext: N/A\nBECAUSE: l\nOptions: (A) x (B) y", "A")], "allowed is a question with"),
        ([record("?\nContext: N/A\nOptions: (A) x", "A")], "allowed is a question with context"),
        ([record("?\nContext: N/A\nOptions: (A) x (B) y (B) z", "A")], "allowed is a question with context"),
        ([record(QCM, "D")], "got the answer 'D', allowed are the letter of an option"),
        ([record(QCM, "It is so.")], "got the answer 'It is so.', allowed are"),
        ([record(QCM, "A"), record(QCM, "A")], "record 1: occurs a second time"),
        ([record(QCM + "<image><image>", "A", image=["a", "b"])], "got 2 turns and 2 images"),
    ],
)
def test_records_of_another_kind_are_named(tmp_path: Path, told: list, problem: str) -> None:
    with pytest.raises(InputError, match=re.escape(problem)):
        read(tmp_path, *told)


@pytest.mark.scienceqa
@pytest.mark.parametrize("name", ["QCM-LEPA", "CQM-LEPA"])
def test_every_real_question_is_read_back(scienceqa_dir: Path, tmp_path: Path, name: str) -> None:
    """The words are tidied when they are written: double spaces become single, ends are bare."""
    shown = [replace(e, image=None, has_image=False) for e in load_dataset(scienceqa_dir).examples]
    out = tmp_path / "r.json"
    told = write_records(shown, PROMPTS[name], out, image_root=tmp_path)
    assert (told.n_records, told.n_unlabelled, told.n_lost) == (12190, 0, 0)

    def bare(e: Example) -> list[object]:
        texts = (e.question, e.hint, e.lecture, e.solution, *e.options)
        return [e.id, e.answer, *(" ".join((text or "").split()) for text in texts)]

    assert [bare(e) for e in load_dataset(out).examples] == [bare(e) for e in shown]


@pytest.mark.scienceqa
def test_real_questions_with_images_through_parquet(scienceqa_dir: Path, tmp_path: Path) -> None:
    first = load_dataset(scienceqa_dir)
    rows = json.loads((scienceqa_dir / "problems.json").read_text())
    for part, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        told = [
            {field: rows[e.id][field] for field in FIELDS}
            | {"pid": e.id, "image": {"bytes": e.image.read_bytes(), "path": None} if e.image else None}
            for e in first.split(part)
        ]
        pq.write_table(pa.Table.from_pylist(told), tmp_path / f"{name}-0.parquet")
    found = load_dataset(tmp_path)
    wanted = {e.id: e for e in first.examples}
    assert len(found.examples) == len(wanted) == 12190
    for e in found.examples:
        official = wanted[e.id]
        # Where the copy has no image file, a table of its bytes cannot say that there is an image.
        shown = replace(
            official,
            image=e.image,
            has_image=official.image is not None,
            caption=None,
            ocr=None,
            group=e.group,
        )
        assert e == shown
        assert e.image is None or e.image.read_bytes() == official.image.read_bytes()
