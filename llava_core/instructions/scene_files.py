"""Readers of scenes: COCO's annotation files, and JSON lines of captions and boxes [edge].

COCO: `captions_*.json` gives captions, `instances_*.json` boxes ``[x, y, width, height]`` in pixels. Both
are read as streams, whatever their size; polygons are passed over. JSON lines, or one JSON list::

    {"id": "42", "image": "42.jpg", "captions": ["A dog on a sofa."],
     "instances": [{"category": "dog", "bbox": [0.1, 0.25, 0.63, 1.0]}]}

with boxes as shares of the image already. Left out: key points, segments, panoptic labels.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llava_core.data.json_file import json_type
from llava_core.data.json_stream import JsonRecord, json_members, json_records
from llava_core.errors import InputError, shown
from llava_core.instructions.scene import Box, Scenes, normalised_box

Progress = Callable[[int, int], None]

ID_DIGITS = 12
"""COCO's ids are written with leading zeros, as in the published records."""
PIXEL = 1.0
"""Boxes may stand out of their image by so much through rounding, without being counted."""
_BEYOND = 2**53
"""No number of a scene is so large; a whole one would not be kept exactly."""
_PROGRESS_EVERY = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneSet:
    """Scenes in file order, and what was not taken as it stands."""

    scenes: Scenes
    counted: Mapping[str, int]
    """What was passed over or changed, and how often."""


@dataclass(slots=True)
class _Coco:
    """What is gathered on the way through the files."""

    scenes: Scenes = field(default_factory=Scenes)
    index: dict[int, int] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)


def read_coco(
    captions: Path, instances: Path | None, *, crowds: bool = True, progress: Progress | None = None
) -> SceneSet:
    """Read COCO's annotations.

    Parameters
    ----------
    captions : Path
        ``captions_*.json``.
    instances : Path, optional
        ``instances_*.json`` of the same images; without it scenes have no boxes.
    crowds : bool
        Keep boxes around crowds (``iscrowd``: 1). The published file of 80 images shows them: where ten or
        more objects of one category are listed, a last box covers far more than the others.
    progress : callable, optional
        Called with bytes read and bytes in all.

    Raises
    ------
    InputError
        If a file is missing or broken, or an annotation lacks its image, its category, the size of its
        image, or numbers; the message names it. Boxes cut to their image, boxes outside it, images without
        caption and boxes of such images are counted instead.
    """
    files = [captions] if instances is None else [captions, instances]
    n_bytes = [file.stat().st_size if file.is_file() else 0 for file in files]
    coco = _Coco()

    def tell(file: int, record: JsonRecord) -> None:
        if progress is not None and record.number % _PROGRESS_EVERY == 0:
            progress(sum(n_bytes[:file]) + record.end, sum(n_bytes))

    _read_captions(captions, coco, tell)
    if instances is not None:
        _read_instances(instances, coco, crowds, tell)
    if progress is not None:
        progress(sum(n_bytes), sum(n_bytes))
    if not coco.scenes:
        raise InputError("holds no captioned images", path=captions)
    return SceneSet(scenes=coco.scenes, counted=dict(coco.counted))


def read_scene_lines(path: Path, *, progress: Progress | None = None) -> SceneSet:
    """Read scenes from JSON lines or a JSON list.

    Raises
    ------
    InputError
        If the file is missing or broken, or a record breaks the format; the message names it.
    """
    scenes, seen = Scenes(), set[str]()
    n_bytes = path.stat().st_size if path.is_file() else 0
    for record in json_records(path):
        at = _Place(path, str(record.number))
        key = at.text_or_number(record.fields, "id")
        at.record = f"{record.number} (id {key})"
        if key in seen:
            raise at.fault("id", f"got {key!r} a second time, allowed is one record for each")
        seen.add(key)
        image = at.text(record.fields, "image")
        captions = at.list_of(record.fields, "captions")
        if not captions or not all(isinstance(caption, str) and caption.strip() for caption in captions):
            raise at.fault("captions", "got no caption or an empty one, allowed is a list of texts")
        index = scenes.add_scene(key, image, tuple(captions))
        for number, instance in enumerate(at.list_of(record.fields, "instances", optional=True)):
            name = f"instances[{number}]"
            if not isinstance(instance, dict):
                raise at.fault(name, f"got {json_type(instance)}, allowed is an object")
            scenes.add_box(index, at.text(instance, "category", name), at.shares(instance, name))
        if progress is not None and record.number % _PROGRESS_EVERY == 0:
            progress(record.end, n_bytes)
    if progress is not None:
        progress(n_bytes, n_bytes)
    if not scenes:
        raise InputError("holds no scenes", path=path)
    return SceneSet(scenes=scenes, counted={})


def _read_captions(path: Path, coco: _Coco, tell: Callable[[int, JsonRecord], None]) -> None:
    images: dict[int, str] = {}
    captions: dict[int, list[str]] = {}
    for member, record in json_members(path, ("images", "annotations")):
        at = _Place(path, f"{member} {record.number}")
        if member == "images":
            images[_image(record.fields, at, coco, "id")] = at.text(record.fields, "file_name")
        else:
            image_id = at.whole(record.fields, "image_id")
            at.record += f" (image {image_id})"
            caption = " ".join(at.string(record.fields, "caption").split())
            if caption:
                captions.setdefault(image_id, []).append(caption)
            else:
                coco.counted["empty captions passed over"] += 1
        tell(0, record)
    unknown = next((image_id for image_id in captions if image_id not in images), None)
    if unknown is not None:
        raise InputError(f"got a caption of image {unknown}, which images does not list", path=path)
    for image_id, name in images.items():
        if image_id in captions:
            key = str(image_id).zfill(ID_DIGITS)
            coco.index[image_id] = coco.scenes.add_scene(key, name, tuple(captions[image_id]))
        else:
            coco.counted["images without captions passed over"] += 1


def _read_instances(path: Path, coco: _Coco, crowds: bool, tell: Callable[[int, JsonRecord], None]) -> None:
    # Names and sizes may stand behind the annotations that need them.
    found = array("d")
    names: dict[int, str] = {}
    for member, record in json_members(path, ("images", "annotations", "categories")):
        at = _Place(path, f"{member} {record.number}")
        if member == "images":
            _image(record.fields, at, coco, "id")
        elif member == "categories":
            names[at.whole(record.fields, "id")] = at.text(record.fields, "name")
        elif not crowds and record.fields.get("iscrowd") == 1:
            coco.counted["boxes around crowds passed over"] += 1
        else:
            image_id, category = at.whole(record.fields, "image_id"), at.whole(record.fields, "category_id")
            found.extend((record.number, image_id, category, *at.box(record.fields)))
        tell(1, record)
    for start in range(0, len(found), 7):
        number, image_id, category = (int(value) for value in found[start : start + 3])
        x, y, w, h = found[start + 3 : start + 7]
        at = _Place(path, f"annotations {number} (image {image_id})")
        if category not in names:
            raise at.fault("category_id", f"got {category}, allowed are those that categories lists")
        if image_id not in coco.index:
            coco.counted["boxes of images without captions passed over"] += 1
            continue
        if image_id not in coco.sizes:
            raise at.fault("image_id", f"got {image_id}, whose width and height no file tells")
        width, height = coco.sizes[image_id]
        box = normalised_box(x, y, w, h, size=(width, height))
        if box is None:
            coco.counted["boxes outside their image or without extent passed over"] += 1
            continue
        if x < -PIXEL or y < -PIXEL or x + w > width + PIXEL or y + h > height + PIXEL:
            coco.counted["boxes cut to their image"] += 1
        coco.scenes.add_box(coco.index[image_id], names[category], box)


def _image(fields: Mapping[str, Any], at: "_Place", coco: _Coco, name: str) -> int:
    """Return the id of an image, keeping its size where it is told."""
    key = at.whole(fields, name)
    at.record += f" (id {key})"
    if fields.get("width") is not None or fields.get("height") is not None:
        size = (at.whole(fields, "width"), at.whole(fields, "height"))
        if min(size) < 1:
            raise at.fault("width, height", f"got {size[0]} x {size[1]}, allowed are 1 or more pixels")
        coco.sizes[key] = size
    return key


@dataclass(slots=True)
class _Place:
    """Reads fields of one record, and knows where to say that a fault is."""

    path: Path
    record: str

    def whole(self, fields: Mapping[str, Any], name: str) -> int:
        value = fields.get(name)
        if not isinstance(value, int) or not _is_number(value):
            raise self.fault(name, f"got {_told(fields, name)}, allowed is a whole number")
        return value

    def string(self, fields: Mapping[str, Any], name: str, within: str = "") -> str:
        value = fields.get(name)
        if not isinstance(value, str):
            raise self.fault(
                f"{within}.{name}" if within else name, f"got {_told(fields, name)}, allowed is text"
            )
        return value

    def text(self, fields: Mapping[str, Any], name: str, within: str = "") -> str:
        value = self.string(fields, name, within)
        if not value.strip():
            raise self.fault(f"{within}.{name}" if within else name, "got no words, allowed is text")
        return value

    def text_or_number(self, fields: Mapping[str, Any], name: str) -> str:
        value = fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            raise self.fault(name, f"got {_told(fields, name)}, allowed is a text or a whole number")
        return str(value)

    def list_of(self, fields: Mapping[str, Any], name: str, *, optional: bool = False) -> list[Any]:
        value = fields.get(name, [] if optional else None)
        if not isinstance(value, list):
            raise self.fault(name, f"got {_told(fields, name)}, allowed is a list")
        return value

    def box(self, fields: Mapping[str, Any], within: str = "") -> Box:
        value = fields.get("bbox")
        numbers = value if isinstance(value, list) else []
        if len(numbers) != 4 or not all(_is_number(number) for number in numbers):
            name = f"{within}.bbox" if within else "bbox"
            raise self.fault(name, f"got {_told(fields, 'bbox')}, allowed are four numbers")
        left, top, third, fourth = (float(number) for number in numbers)
        return left, top, third, fourth

    def shares(self, fields: Mapping[str, Any], within: str) -> Box:
        box = self.box(fields, within)
        if not (0 <= box[0] <= box[2] <= 1 and 0 <= box[1] <= box[3] <= 1):
            raise self.fault(
                f"{within}.bbox",
                f"got {list(box)}, allowed is [x1, y1, x2, y2] as shares of the image, 0 to 1",
            )
        left, top, right, bottom = (round(side, 3) for side in box)
        return left, top, right, bottom

    def fault(self, name: str, problem: str) -> InputError:
        return InputError(problem, path=self.path, record=self.record, field=name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _BEYOND


def _told(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        return "nothing"
    value = fields[name]
    return shown(value) if isinstance(value, str | int | float) else json_type(value)
