"""Answers, reviews, questions, scenes, captions and prompts, read to the end."""

import shutil
from pathlib import Path

from tests.fuzz import corpus

# Answers, reviews, questions ------------------------------------------------------------------------------


def answers_corpus(name: str, content: object, folder: Path) -> None:
    (corpus.write_lines if name.endswith("jsonl") else corpus.write_json)(folder / name, content)  # type: ignore[arg-type]


def answers(name: str, folder: Path) -> object:
    from llava_core.data.example import Dataset, Example
    from llava_core.evaluation.answers import read_answers

    examples = tuple(
        Example(id=str(n), question="?", options=("north", "south", "west")[: 2 + n % 2], answer=0,
        split="test", group=str(n))
        for n in range(4)
    )  # fmt: skip
    found = read_answers(folder / name, Dataset(name="d", examples=examples, fingerprint="f"))
    assert set(found.chosen) <= {"0", "1", "2", "3"}
    assert all(-1 <= index < 3 for index in found.chosen.values())
    return found


def reviews(folder: Path) -> object:
    from llava_core.evaluation.llava_bench.reviews import read_reviews, review_line

    return [review_line(review).encode() for review in read_reviews(folder / "reviews.jsonl")]


def our_reviews(folder: Path) -> object:
    from llava_core.evaluation.llava_bench.reviews import kept_reviews

    return kept_reviews(folder / "ours.jsonl", settings="s", prompts={})


def bench(folder: Path) -> object:
    from llava_core.evaluation.llava_bench.questions import comparisons, read_bench_questions

    return comparisons(
        read_bench_questions(folder / "questions.jsonl"),
        contexts=folder / "contexts.jsonl",
        references=folder / "references.jsonl",
        candidates=folder / "candidates.jsonl",
    )


def bench_files(folder: Path) -> None:
    corpus.write_lines(folder / "questions.jsonl", corpus.BENCH_QUESTIONS)
    corpus.write_lines(folder / "contexts.jsonl", corpus.BENCH_CONTEXTS)
    corpus.write_lines(folder / "references.jsonl", corpus.BENCH_ANSWERS)
    corpus.write_lines(folder / "candidates.jsonl", corpus.BENCH_ANSWERS)


def open_question_files(folder: Path) -> None:
    corpus.write_lines(folder / "open.jsonl", corpus.OPEN_QUESTIONS)
    (folder / "a.png").write_bytes(corpus.picture())


def open_questions(folder: Path) -> object:
    from llava_core.inference.questions import check_images, read_questions

    questions = read_questions(folder / "open.jsonl")
    check_images(questions)
    return questions


def answer_file(folder: Path) -> object:
    from llava_core.inference.answer_file import answered
    from llava_core.inference.questions import Question

    return answered(folder / "answers.jsonl", [Question(id="x", text="What?", images=("a.png",))], "k")


def answer_files(folder: Path) -> None:
    row = {"id": "x", "question": "What?", "images": ["a.png"], "text": "A bus.", "settings": "k"}
    corpus.write_lines(folder / "answers.jsonl", [row, row | {"id": "y"}])


# Scenes, captions, prompts --------------------------------------------------------------------------------


def coco(folder: Path) -> object:
    from llava_core.instructions.scene_files import read_coco

    scenes = read_coco(folder / "captions.json", folder / "instances.json").scenes
    return [scenes[index] for index in range(len(scenes))]


def coco_files(folder: Path) -> None:
    corpus.write_json(folder / "captions.json", corpus.CAPTIONS)
    corpus.write_json(folder / "instances.json", corpus.INSTANCES)


def scene_lines(folder: Path) -> object:
    from llava_core.instructions.scene_files import read_scene_lines

    scenes = read_scene_lines(folder / "scenes.jsonl").scenes
    return [scenes[index] for index in range(len(scenes))]


def caption_files(folder: Path) -> None:
    corpus.write_lines(folder / "c.jsonl", corpus.CAPTION_LINES)
    corpus.write_json(folder / "c.json", corpus.CAPTION_LINES)
    corpus.write_table(folder / "c.parquet", corpus.CAPTION_LINES)
    lines = ["caption\tid\timage\turl", *(f"A dog.\t{n}\t{n}.jpg\thttp://x" for n in range(3))]
    (folder / "c.tsv").write_text("\n".join(lines) + "\n")
    (folder / "cc3m.tsv").write_text("A dog.\thttp://x\nA cat.\thttp://y\n")


def captions(folder: Path, *, strict: bool) -> object:
    from llava_core.concepts.captions import Columns, caption_chunks

    bad: list[Exception] = []
    chunks = [
        chunk
        for file in sorted(folder.iterdir())
        for chunk in caption_chunks(file, Columns(), size=2, on_bad=None if strict else bad.append)
    ]
    assert all(caption.strip() for chunk in chunks for caption in chunk.captions)
    return chunks, bad


def annotated_file(folder: Path) -> None:
    (folder / "annotated.txt").write_text("[a cat] on [the mat]\nno phrase\n[x]\n")


def annotated(folder: Path) -> object:
    from llava_core.concepts.agreement import read_annotated

    return read_annotated(folder / "annotated.txt")


def prompts(folder: Path) -> object:
    from llava_core.instructions.kinds import KINDS
    from llava_core.instructions.prompts import fingerprint, load_prompts

    return fingerprint(load_prompts(KINDS.values(), folder))


def prompt_files(folder: Path) -> None:
    from importlib.resources import as_file, files

    with as_file(files("llava_core.instructions") / "prompts") as shipped:
        shutil.copytree(shipped, folder, dirs_exist_ok=True)
