"""Small valid files of every kind that is read, made by code."""

import io
import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

# Pictures -------------------------------------------------------------------------------------------------


def picture(mode: str = "RGB", kind: str = "png", **options: Any) -> bytes:
    """Return a picture file of 24 x 16 pixels."""
    grey = np.linspace(0, 255, 24 * 16).reshape(16, 24)
    image = Image.fromarray(grey.astype(np.uint8)).convert(mode)
    return saved(image, kind, **options)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as the bytes of a file."""
    written = io.BytesIO()
    image.save(written, format=kind, **options)
    return written.getvalue()


def deep_grey(kind: str = "png") -> bytes:
    """Return a picture of 16 bits, black to white."""
    return saved(Image.fromarray(np.linspace(0, 65535, 24 * 16).reshape(16, 24).astype(np.uint16)), kind)


def turned() -> bytes:
    """Return a JPEG that lies on its side, as its EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(kind="jpeg", exif=exif)


def animated(kind: str = "gif") -> bytes:
    """Return three frames."""
    frames = [Image.new("P", (24, 16), number) for number in range(3)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


def see_through_palette() -> bytes:
    """Return a PNG with a palette of which each colour has a transparency of its own."""
    image = Image.fromarray((np.arange(24 * 16).reshape(16, 24) % 4).astype(np.uint8)).convert("P")
    return saved(image, "png", transparency=bytes([0, 85, 170, 255]))


def bomb(side: int) -> bytes:
    """Return a PNG that says it has so many pixels a side, with few of them there."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(min(side, 1000) + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@cache
def long_text_chunk() -> bytes:
    """Return a PNG whose compressed text becomes 80 MB."""
    head, end = picture()[:33], picture()[33:]
    body = b"k\0\0" + zlib.compress(bytes(80 << 20), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return head + chunk + end


PICTURES: Mapping[str, Callable[[], bytes]] = {
    "rgb png": picture,
    "grey png": lambda: picture("L"),
    "bits png": lambda: picture("1"),
    "palette png": lambda: picture("P"),
    "rgba png": lambda: picture("RGBA"),
    "grey alpha png": lambda: picture("LA"),
    "16 bits png": deep_grey,
    "16 bits tiff": lambda: deep_grey("tiff"),
    "float tiff": lambda: picture("F", "tiff"),
    "32 bits tiff": lambda: picture("I", "tiff"),
    "lab tiff": lambda: saved(Image.new("LAB", (24, 16)), "tiff"),
    "cmyk jpeg": lambda: picture("CMYK", "jpeg"),
    "ycbcr jpeg": lambda: picture("RGB", "jpeg"),
    "cmyk tiff": lambda: picture("CMYK", "tiff"),
    "turned jpeg": turned,
    "animated gif": animated,
    "animated png": lambda: animated("png"),
    "animated webp": lambda: animated("webp"),
    "see-through palette": see_through_palette,
    "one colour see-through": lambda: picture("L", transparency=0),
    "bmp": lambda: picture(kind="bmp"),
    "ico": lambda: picture(kind="ico"),
    "eps": lambda: picture(kind="eps"),
    "ppm": lambda: picture(kind="ppm"),
    "one pixel": lambda: saved(Image.new("RGB", (1, 1)), "png"),
    "a line": lambda: saved(Image.new("RGB", (5000, 1)), "png"),
    "bomb that PIL warns of": lambda: bomb(11_000),
    "bomb that PIL refuses": lambda: bomb(40_000),
    "bomb of two thousand million": lambda: bomb(2**31 - 1),
    "no pixels": lambda: bomb(0),
    "long text": long_text_chunk,
    "nothing": lambda: b"",
    "a page": lambda: b"<html><script>alert(1)</script></html>",
    "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
}
"""Pictures by what is special about them, traps among them."""


# Texts ----------------------------------------------------------------------------------------------------


def write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1))


def write_lines(file: Path, records: Sequence[object]) -> None:
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def write_table(file: Path, records: Sequence[Mapping[str, Any]]) -> None:
    pd.DataFrame(list(records)).to_parquet(file)


def options(number: int) -> list[str]:
    """Return the options of a question."""
    return ["north", "south", "west"][: 2 + number % 2]


def problem(number: int, **changes: Any) -> dict[str, Any]:
    """Return a question in ScienceQA's fields."""
    fields = {
        "question": f"Which of these is number {number}?", "choices": options(number),
        "answer": number % 2, "hint": "Look at the picture.", "image": "image.png" if number < 2 else None,
        "task": "closed choice", "grade": f"grade{number}", "subject": "natural science", "topic": "physics",
        "category": "Magnets", "skill": "Compare", "lecture": "Poles attract.", "solution": "It is so.",
        "split": ("train", "val", "test", "test")[number],
    }  # fmt: skip
    return fields | changes


def scienceqa(folder: Path) -> None:
    """Write the official layout."""
    problems = {str(number): problem(number) for number in range(4)}
    write_json(folder / "problems.json", problems)
    write_json(
        folder / "pid_splits.json", {"train": ["0"], "val": ["1"], "test": ["2", "3"], "minival": ["1"]}
    )
    write_json(folder / "captions.json", {"captions": {"0": "A magnet.", "1": "A map."}})
    write_json(
        folder / "ocrs.json", {"texts": {"0": "[([[0, 0], [9, 0], [9, 9], [0, 9]], 'N', 0.9)]", "1": ""}}
    )
    for pid, split in (("0", "train"), ("1", "val")):
        place = folder / "images" / split / pid / "image.png"
        place.parent.mkdir(parents=True)
        place.write_bytes(picture("RGB" if pid == "0" else "L"))


def hf_parquet(folder: Path) -> None:
    """Write Hugging Face's layout."""
    for part, numbers in (("train", (0, 1)), ("test", (2, 3))):
        rows = [
            {key: value for key, value in problem(number).items() if key != "split"}
            | {"image": {"bytes": picture(), "path": None} if number < 2 else None, "answer": number % 2}
            for number in numbers
        ]
        if part == "test":
            rows[0]["image"] = {"bytes": picture("RGBA"), "path": "x.png"}
        write_table(folder / f"{part}-00000-of-00001.parquet", rows)


def llava_records(folder: Path) -> None:
    """Write ScienceQA as LLaVA records, with and without an image."""
    asked = "Which is it?\nContext: N/A\nOptions: (A) north (B) south"
    write_json(
        folder / "chat.json",
        [
            {
                "id": "1", "image": "a.png", "conversations": [
                    {"from": "human", "value": f"<image>\n{asked}"},
                    {"from": "gpt", "value": "LECTURE: Poles.\nSOLUTION: So.\n###\nANSWER: A."},
                ],
            },
            {
                "id": "2", "conversations": [
                    {"from": "human", "value": f"{asked} (C) west"},
                    {"from": "gpt", "value": "The answer is C. BECAUSE: It is."},
                ],
            },
        ],
    )  # fmt: skip
    (folder / "a.png").write_bytes(picture())


def conversations(folder: Path) -> None:
    """Write LLaVA's training records in lines."""
    write_lines(
        folder / "chat.jsonl",
        [
            {
                "id": number, "image": ["a.png", "b.jpg"][: number or None] if number else "a.png",
                "conversations": [
                    {"from": "human", "value": "<image>\n" * max(number, 1) + "What is it?"},
                    {"from": "gpt", "value": "A bus."}, {"from": "human", "value": "Which colour?"},
                    {"from": "gpt", "value": "Red."},
                ],
            }
            for number in range(3)
        ],
    )  # fmt: skip
    (folder / "a.png").write_bytes(picture())
    (folder / "b.jpg").write_bytes(picture(kind="jpeg"))


def questions(number: int) -> dict[str, Any]:
    """Return a record of a question file of one's own."""
    return {
        "id": f"q{number}", "question": f"What is {number}?", "options": ["yes", "no"], "answer": number % 2,
        "image": "a.png", "group": f"g{number // 2}", "split": "test" if number else "train",
        "hint": "Think.",
        "vector": [0.5, float(number)], "per_option": [[0.1], [0.2]],
    }  # fmt: skip


def own_lines(folder: Path) -> None:
    write_lines(folder / "own.jsonl", [questions(number) for number in range(4)])
    (folder / "a.png").write_bytes(picture())


def own_parquet(folder: Path) -> None:
    plain = [{k: v for k, v in questions(number).items() if k != "per_option"} for number in range(4)]
    write_table(folder / "own.parquet", plain)
    (folder / "a.png").write_bytes(picture())


def option_rows() -> list[dict[str, Any]]:
    return [
        {"id": number // 2, "option": ("yes", "no")[number % 2], "correct": number % 2, "score": 0.1 * number,
         "vector": [float(number), 1.0], "split": "test", "group": f"g{number // 2}"}
        for number in range(6)
    ]  # fmt: skip


RESULT_FILE = {"results": {"0": 0, "2": 1, "3": -1}, "outputs": {"0": "The answer is A.", "2": "B", "3": "?"}}
RESPONSES = [
    {
        "problem_id": "2",
        "question": "?",
        "choices": ["north", "south"],
        "m_response": "0",
        "correct_answer": "0",
    },
    {"problem_id": "3", "question": "?", "choices": ["north", "south", "west"], "m_response": "west"},
]
ANSWER_LINES = [
    {"id": "2", "prompt": "CQM-A", "text": "A", "parsed": 0},
    {"id": "3", "prompt": "CQM-A", "text": "C", "parsed": 2},
]
PUBLISHED_LINES = [
    {"question_id": "2", "text": "B", "model_id": "m"},
    {"question_id": 3, "text": "The answer is A."},
]

REVIEWS = [
    {"id": number, "question_id": number, "answer1_id": "a", "answer2_id": "b",
     "category": "llava_bench_conv",
     "content": "8 7\nGood.", "tuple": [8.0, 7 - 8 * (number == 3)] if number < 3 else [-1, -1]}
    for number in range(1, 4)
]  # fmt: skip
OUR_REVIEWS = [
    review | {"swapped": bool(review["id"] % 2), "judge": "m", "settings": "s", "prompt": f"p{review['id']}"}
    for review in REVIEWS
]
BENCH_QUESTIONS = [
    {"question_id": number, "image": "00.jpg", "text": f"What is {number}?", "category": ("conv",
     "detail", "complex")[number]}
    for number in range(3)
]  # fmt: skip
BENCH_CONTEXTS = [
    {
        "image": "00.jpg",
        "captions": ["A dog."],
        "instances": [{"category": "dog", "bbox": [0.1, 0.2, 0.3, 0.4]}],
    },
    {"image": "01.jpg", "caption": "A cat."},
]
BENCH_ANSWERS = [
    {"question_id": n, "text": "It is so.", "answer_id": f"x{n}", "prompt": f"What is {n}?"} for n in range(3)
]

CAPTIONS = {
    "images": [{"id": 1, "file_name": "1.jpg", "width": 40, "height": 30}, {"id": 2,
    "file_name": "2.jpg", "width": 9, "height": 9}],
    "annotations": [{"image_id": 1, "id": 1, "caption": "A dog."}, {"image_id": 2, "id": 2,
    "caption": "A cat."}],
    "info": {"year": 2017},
}  # fmt: skip
INSTANCES = {
    "images": CAPTIONS["images"],
    "annotations": [
        {
            "image_id": 1,
            "category_id": 7,
            "bbox": [1.5, 2, 10, 10],
            "iscrowd": 0,
            "segmentation": [[1, 2, 3, 4]],
        },
        {"image_id": 2, "category_id": 8, "bbox": [0, 0, 99, 5], "iscrowd": 1},
    ],
    "categories": [{"id": 7, "name": "dog"}, {"id": 8, "name": "cat"}],
}
SCENES = [
    {
        "id": "42",
        "image": "42.jpg",
        "captions": ["A dog."],
        "instances": [{"category": "dog", "bbox": [0.1, 0.2, 0.6, 1.0]}],
    },
    {"id": 43, "image": "43.jpg", "captions": ["A cat.", "A tom."]},
]
OPEN_QUESTIONS = [
    {"id": "x", "question": "What is it?", "image": "a.png"},
    {"question_id": 7, "text": "And this?", "images": ["a.png"]},
]
CAPTION_LINES = [
    {"caption": f"A dog {n}.", "id": n, "image": f"{n}.jpg", "url": "http://x/y"} for n in range(4)
]
