"""What the jobs under fault read, in small: questions, scenes, captions."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

PARTS = {"train_llm": 24, "train_ensemble": 48, "val": 12, "test": 20}
"""Questions of each part of the data."""
N_SCENES, N_CAPTIONS = 8, 60


def write_questions(folder: Path) -> None:
    """Write the first bundled questions of each part."""
    from llava_core.data.mini.parts import generate
    from llava_core.data.mini.write import record

    problems: dict[str, Any] = {}
    captions: dict[str, str | None] = {}
    splits: dict[str, list[str]] = {}
    for part, n in PARTS.items():
        for number, item in enumerate(islice(generate(part), n)):
            id_ = f"{part}_{number:03d}"
            problems[id_] = record(item)
            splits.setdefault(part, []).append(id_)
            if item.image is not None:
                captions[id_] = item.caption
                (folder / "images" / part / id_).mkdir(parents=True)
                item.image.save(folder / "images" / part / id_ / "image.png")
    (folder / "pid_splits.json").write_text(json.dumps(splits))
    (folder / "captions.json").write_text(json.dumps({"captions": captions}))
    (folder / "problems.json").write_text(json.dumps(problems))


def write_scenes(file: Path) -> None:
    """Write scenes of two captions each, some with a box."""
    scenes = [
        {
            "id": f"{n:03d}",
            "image": f"{n:03d}.jpg",
            "captions": [f"Scene number {n} with a dog.", "A dog outside."],
            "instances": [{"category": "dog", "bbox": [0.1, 0.2, 0.5, 0.75]}] if n % 3 else [],
        }
        for n in range(N_SCENES)
    ]
    file.write_text("".join(f"{json.dumps(scene)}\n" for scene in scenes))


def write_captions(file: Path) -> None:
    """Write captions with an address each, of things that are seen more or less often."""
    things = ("dog", "red car", "small house", "green tree", "black cat")
    lines = [
        f"a {things[n % 5]} beside a {things[n * n % 4]}\thttp://{file.stem}/{n}" for n in range(N_CAPTIONS)
    ]
    file.write_text("\n".join(lines) + "\n")
