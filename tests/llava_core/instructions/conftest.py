"""Scenes, and language models that write about them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONVERSATION = (
    "Question:\nWhat is shown?\n===\nAnswer:\n{0}\n===\nQuestion:\nWhere is it?\n===\nAnswer:\nOutside."
)
REASONING = "Question:\nWhy might this be so?\n===\nAnswer:\nBecause of what is seen: {0}"
DETAIL = "The picture shows this: {0} " + "It is a calm day, and everything can be seen well. " * 3


def good_reply(messages: list[dict[str, str]]) -> str:
    """Reply as the system message asks for, about the first caption."""
    caption = messages[-1]["content"].splitlines()[0]
    told = messages[0]["content"]
    form = (
        DETAIL
        if "Write plain paragraphs" in told
        else REASONING
        if "exactly one question" in told
        else CONVERSATION
    )
    return form.format(caption)


@pytest.fixture
def write_scenes(tmp_path: Path) -> Callable[[int], Path]:
    """Write a file of so many scenes."""

    def write(n_scenes: int) -> Path:
        path = tmp_path / "scenes.jsonl"
        rows = [
            {
                "id": f"{n:03d}",
                "image": f"{n:03d}.jpg",
                "captions": [f"Scene number {n} with a dog.", "A dog outside."],
                "instances": [{"category": "dog", "bbox": [0.1, 0.2, 0.5, 0.75]}] if n % 3 else [],
            }
            for n in range(n_scenes)
        ]
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return path

    return write


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write a pair of COCO files; keyword arguments replace members."""

    def write(**members: Any) -> tuple[Path, Path]:
        images = [
            {"id": 9, "file_name": "COCO_val2014_000000000009.jpg", "width": 640, "height": 480},
            {"id": 25, "file_name": "COCO_val2014_000000000025.jpg", "width": 200, "height": 300},
        ]
        captions = [
            {"id": 1, "image_id": 25, "caption": " A giraffe\nunder a tree. "},
            {"id": 2, "image_id": 9, "caption": "Fruit in boxes."},
            {"id": 3, "image_id": 25, "caption": "A tall animal."},
        ]
        boxes = [
            {"id": 1, "image_id": 25, "category_id": 7, "bbox": [20, 30, 100, 240], "iscrowd": 0},
            {"id": 2, "image_id": 9, "category_id": 3, "bbox": [1.08, 187.69, 611.59, 285.84], "iscrowd": 0},
            {"id": 3, "image_id": 25, "category_id": 3, "bbox": [0, 0, 200, 300], "iscrowd": 1},
        ]
        categories = [{"id": 3, "name": "bowl"}, {"id": 7, "name": "giraffe"}]
        spoken = {"info": {}, "images": images, "licenses": [], "annotations": captions}
        boxed = {"info": {}, "images": images, "annotations": boxes, "categories": categories}
        spoken |= {
            name.removeprefix("captions_"): m for name, m in members.items() if name.startswith("captions_")
        }
        boxed |= {name: m for name, m in members.items() if not name.startswith("captions_")}
        paths = tmp_path / "captions.json", tmp_path / "instances.json"
        for path, content in zip(paths, (spoken, boxed), strict=True):
            path.write_text(json.dumps({name: m for name, m in content.items() if m is not None}))
        return paths

    return write
