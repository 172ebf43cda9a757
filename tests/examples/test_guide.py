"""The guide, command by command as it is written, on drawn images and a server that writes like a model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from llava_core.data.llava_json import load_conversations

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
COLOURS = {"red": (210, 40, 40), "blue": (40, 70, 210), "green": (40, 150, 60)}
N_IMAGES = 22


def draw_coco(folder: Path) -> None:
    """Pictures of one or two balls in COCO's layout; two more than the guide takes."""
    rng = np.random.default_rng(0)
    (folder / "val2017").mkdir(parents=True)
    images, captions, boxes = [], [], []
    for number in range(1, N_IMAGES + 1):
        name = f"{number:012d}.jpg"
        colours = [str(colour) for colour in rng.choice(list(COLOURS), size=rng.integers(1, 3))]
        picture = Image.new("RGB", (160, 120), "white")
        for place, colour in enumerate(colours):
            left, top = 10 + 70 * place, int(rng.integers(10, 50))
            ImageDraw.Draw(picture).ellipse([left, top, left + 50, top + 50], fill=COLOURS[colour])
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": 37,
                    "bbox": [left, top, 50, 50],
                    "iscrowd": 0,
                }
            )
        picture.save(folder / "val2017" / name)
        images.append({"id": number, "file_name": name, "width": 160, "height": 120})
        told = " and ".join(f"a {colour} ball" for colour in colours)
        for text in (f"There is {told}.", f"Picture {number}: {told} on a white table."):
            captions.append({"id": len(captions) + 1, "image_id": number, "caption": text})
    (folder / "captions.json").write_text(json.dumps({"images": images, "annotations": captions}))
    instances = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 37, "name": "sports ball"}],
    }
    (folder / "instances.json").write_text(json.dumps(instances))


def written(messages: list[dict[str, str]]) -> str:
    """What a language model might say: which kind is wanted shows in the example before the question."""
    example, asked = messages[-2], messages[-1]["content"]
    if example["role"] == "system":
        return "6 8\nThe second answer says less than the first one."
    colour = next(colour for colour in COLOURS if colour in asked)
    if example["content"].count("Question:") > 1:
        return question("Which colour is the ball?", f"The ball is {colour}.") + (
            "\n===\n" + question("Where is it?", "It lies on a white table.")
        )
    if "Question:" in example["content"]:
        return question(
            f"Why might the {colour} ball stand out?", "The table is white: that makes a contrast."
        )
    return (
        f"A {colour} ball lies on a plain white table. It takes up about a third of the picture, and nothing "
        "else is in sight, so that the eye goes to it at once."
    )


def question(asked: str, answer: str) -> str:
    return f"Question:\n{asked}\n===\nAnswer:\n{answer}"


def test_the_guide_as_it_is_written(tmp_path: Path, chat_server, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_coco(tmp_path / "coco")
    server = chat_server(written)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}", "COLUMNS": "80"}
    for language, code in BLOCKS:
        command = ["bash", "-euc", code] if language == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    assert {language for language, _ in BLOCKS} == {"sh", "python"}

    records = load_conversations(tmp_path / "instruct" / "all.json", tmp_path / "coco" / "val2017")
    assert len(records.conversations) == 3 * 20
    assert records.n_images == 20
    assert len(server.requests) == 3 * 20 + 5  # what was written, and what was graded; nothing twice
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 5
    reviews = [json.loads(line) for line in (tmp_path / "reviews.jsonl").read_text().splitlines()]
    assert [review["tuple"] for review in reviews] == [[6.0, 8.0]] * 5
    trained = json.loads((tmp_path / "checkpoint" / "finetune" / "training.json").read_text())
    losses = [loss for _, loss in trained["loss"]]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
