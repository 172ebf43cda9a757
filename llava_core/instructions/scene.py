"""Images in words: captions and boxes, as the language model that writes instruction data is told of them.

Source: the symbolic representation of LLaVA's GPT-4 prompts. Boxes are ``[x1, y1, x2, y2]``, top left and
bottom right, as shares of width and height with at most three decimals. Left out: pixels.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right, bottom: shares of width and height, 0 to 1."""

DECIMALS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One object in an image."""

    category: str
    box: Box


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What is known of one image."""

    id: str
    image: str
    """File name or path relative to a folder of images."""
    captions: tuple[str, ...]
    instances: tuple[Instance, ...] = ()


class Scenes(Sequence[Scene]):
    """Many scenes; boxes are kept as arrays: those of 80,000 images take some 25 megabytes."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._images: list[str] = []
        self._captions: list[tuple[str, ...]] = []
        self._boxes = array("d")
        self._categories = array("i")
        self._owners = array("i")
        self._names: dict[str, int] = {}
        self._order: NDArray[np.int64] | None = None
        self._bounds: NDArray[np.int64] | None = None

    def add_scene(self, id: str, image: str, captions: tuple[str, ...]) -> int:
        """Add an image and return its index."""
        self._bounds = None
        self._ids.append(id)
        self._images.append(image)
        self._captions.append(captions)
        return len(self._ids) - 1

    def add_box(self, index: int, category: str, box: Box) -> None:
        """Add an object to the image at an index; its objects keep the order they are added in."""
        self._bounds = None
        self._owners.append(index)
        self._categories.append(self._names.setdefault(category, len(self._names)))
        self._boxes.extend(box)

    @property
    def n_boxes(self) -> int:
        """Objects in all scenes."""
        return len(self._owners)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        if self._bounds is None:
            owners = np.array(self._owners, dtype=np.int64)
            self._order = np.argsort(owners, kind="stable")
            self._bounds = np.searchsorted(owners[self._order], np.arange(len(self._ids) + 1))
        assert self._order is not None
        index = range(len(self))[index]
        names = list(self._names)
        boxes = [int(i) for i in self._order[self._bounds[index] : self._bounds[index + 1]]]
        return Scene(
            id=self._ids[index],
            image=self._images[index],
            captions=self._captions[index],
            instances=tuple(
                Instance(category=names[self._categories[i]], box=self._box(4 * i)) for i in boxes
            ),
        )

    def __iter__(self) -> Iterator[Scene]:
        return (self[index] for index in range(len(self)))

    def _box(self, at: int) -> Box:
        left, top, right, bottom = self._boxes[at : at + 4]
        return left, top, right, bottom


def normalised_box(
    left: float, top: float, width: float, height: float, *, size: tuple[int, int]
) -> Box | None:
    """Turn a box in pixels into shares of the image.

    Parameters
    ----------
    left, top, width, height : float
        Pixels, as in COCO's annotations.
    size : tuple of int
        Width and height of the image, pixels.

    Returns
    -------
    Box or None
        Cut to the image; None where nothing of it lies inside.

    Examples
    --------
    >>> normalised_box(64, 0, 128, 480, size=(640, 480))
    (0.1, 0.0, 0.3, 1.0)
    """
    image_width, image_height = size
    sides = (
        min(max(left / image_width, 0.0), 1.0),
        min(max(top / image_height, 0.0), 1.0),
        min(max((left + width) / image_width, 0.0), 1.0),
        min(max((top + height) / image_height, 0.0), 1.0),
    )
    if sides[0] >= sides[2] or sides[1] >= sides[3]:
        return None
    x1, y1, x2, y2 = (round(side, DECIMALS) for side in sides)
    return x1, y1, x2, y2


def scene_text(scene: Scene, *, boxes: bool, max_boxes: int | None = None) -> str:
    """Write a scene as the language model reads it.

    Parameters
    ----------
    scene : Scene
    boxes : bool
        Whether to add a line per object after a blank line. Without any object there is neither.
    max_boxes : int, optional
        Keep the objects that cover most, in the order they stand in; all if not given.

    Examples
    --------
    >>> dog = Instance(category="dog", box=(0.1, 0.25, 0.63, 1.0))
    >>> print(scene_text(Scene(id="1", image="1.jpg", captions=("A dog.",), instances=(dog,)), boxes=True))
    A dog.
    <BLANKLINE>
    dog: [0.1, 0.25, 0.63, 1.0]
    """
    lines = [" ".join(caption.split()) for caption in scene.captions]
    if boxes and scene.instances:
        lines += [
            "",
            *(f"{each.category}: {list(each.box)}" for each in _largest(scene.instances, max_boxes)),
        ]
    return "\n".join(lines)


def _largest(instances: tuple[Instance, ...], most: int | None) -> list[Instance]:
    if most is None or len(instances) <= most:
        return list(instances)
    kept = sorted(range(len(instances)), key=lambda index: (-_area(instances[index].box), index))[:most]
    return [instances[index] for index in sorted(kept)]


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
