"""A page of samples: records beside their pictures, and what was set aside; one self-contained file [edge].

Everything that comes from data is escaped; the page asks nothing of any other address. Pictures are small
copies within the file; where there is none, the boxes are drawn. Left out: scripts.
"""

import base64
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llava_core.data.conversation import IMAGE_TOKEN
from llava_core.data.image_files import opened_image
from llava_core.errors import InputError
from llava_core.folders import write_whole
from llava_core.instructions import told
from llava_core.instructions.scene import Scene
from llava_core.instructions.write import Results, Sample, SetAside

PICTURE_PIXELS = 360
"""Longest side of a picture in the page."""
PICTURES_BYTES = 1_400_000
"""All pictures together, as written; the rest are left out, so that the page stays under 2 MB."""
MOST_BOXES = 60
MOST_LINES = 30
MOST_CHARS = 3000
"""Longest text of one turn, caption or reply that is shown whole."""


def write_page(path: Path, summary: Mapping[str, Any], results: Results, *, images: Path | None) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
    summary : Mapping
        Content of ``summary.json``.
    results : Results
        With the samples to show.
    images : Path, optional
        Folder that the samples' image paths are relative to.
    """
    pictures = {} if images is None else _pictures([sample.scene for sample in results.samples], images)
    write_whole(path, render_page(summary, results, pictures=pictures))


def render_page(summary: Mapping[str, Any], results: Results, *, pictures: Mapping[str, str]) -> str:
    """Return the page; `pictures` are ``data:`` addresses by image name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("llava_core.instructions"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kinds = {
        name: [_shown(sample, pictures) for sample in results.samples if sample.kind == name]
        for name in summary["kinds"]
    }
    return environment.get_template("samples.html").render(
        backend=summary["backend"],
        n_records=f"{sum(kind['read'] for kind in summary['kinds'].values()):,}",
        n_scenes=f"{summary['n_scenes']:,}",
        names=list(summary["kinds"]),
        figures=told.figures(summary),
        frequent=told.frequent(summary),
        kinds=kinds,
        set_aside=[_told_aside(each) for each in results.set_aside],
        reasons=told.reasons(summary),
        has_pictures=bool(pictures),
    )


def picture_uri(path: Path) -> str | None:
    """Return a small JPEG copy of a picture as a ``data:`` address; None if it cannot be read."""
    from PIL import Image

    try:
        with opened_image(path) as picture:
            picture.draft("RGB", (PICTURE_PIXELS, PICTURE_PIXELS))
            picture.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
            paper = Image.new("RGBA", picture.size, "white")
            small = Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")
    except InputError:
        return None
    written = io.BytesIO()
    small.save(written, format="jpeg", quality=80, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def _pictures(scenes: list[Scene], folder: Path) -> dict[str, str]:
    pictures: dict[str, str] = {}
    left = PICTURES_BYTES
    # An image that several kinds are about stands in the page several times.
    for name, n_uses in Counter(scene.image for scene in scenes).items():
        outside = Path(name).is_absolute() or ".." in Path(name).parts
        uri = None if outside else picture_uri(folder / name)
        if uri is not None and n_uses * len(uri) <= left:
            pictures[name] = uri
            left -= n_uses * len(uri)
    return pictures


def _shown(sample: Sample, pictures: Mapping[str, str]) -> dict[str, Any]:
    scene = sample.scene
    turns = [
        {
            "human": turn["from"] == "human",
            "text": _cut(turn["value"].replace(IMAGE_TOKEN, "").strip()),
            "image_first": turn["value"].startswith(IMAGE_TOKEN),
            "image_last": turn["value"].endswith(IMAGE_TOKEN),
        }
        for turn in sample.record["conversations"]
    ]
    return {"turns": turns, "picture": pictures.get(scene.image), **_told_scene(scene)}


def _told_scene(scene: Scene) -> dict[str, Any]:
    boxes = [
        {
            "category": instance.category,
            "x": round(400 * instance.box[0], 1),
            "y": round(300 * instance.box[1], 1),
            "width": round(400 * (instance.box[2] - instance.box[0]), 1),
            "height": round(300 * (instance.box[3] - instance.box[1]), 1),
        }
        for instance in scene.instances[:MOST_BOXES]
    ]
    lines = [f"{instance.category}: {list(instance.box)}" for instance in scene.instances[:MOST_LINES]]
    return {
        "id": scene.id,
        "image": scene.image,
        "captions": [_cut(caption) for caption in scene.captions[:MOST_LINES]],
        "boxes": boxes,
        "lines": lines,
        "n_more": max(len(scene.instances) - MOST_LINES, 0),
    }


def _told_aside(each: SetAside) -> dict[str, Any]:
    text = _cut(each.texts[-1]) if each.texts else None
    return {
        "kind": each.kind,
        "id": each.scene.id,
        "problem": each.problem,
        "n": len(each.texts),
        "text": text,
    }


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else text[:MOST_CHARS] + " ..."
