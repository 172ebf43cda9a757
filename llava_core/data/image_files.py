"""Image files as bytes: where they are, their hashes, opening them, and whether each is an image [edge].

Left out: pixels, see `llava_core.data.images`, which needs torch.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from llava_core.data.example import Dataset
from llava_core.data.json_file import check_is_file
from llava_core.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

MOST_ELONGATED = 200
"""Sides of an image at most, longer by shorter: resized by its shorter side, a line of one pixel becomes an
image of gigabytes."""


def find_image(folder: Path, named: str) -> Path | None:
    """Return the file that a name or a path stands for in a folder; None if there is no such file."""
    file = folder / named
    try:
        return file if file.is_file() else None
    except (OSError, ValueError):  # no file can have such a name
        return None


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None


def hash_images(paths: Iterable[Path | None]) -> list[str | None]:
    """Return the hash of each image file; None where there is none. A file named twice is read once."""
    known: dict[Path, str] = {}
    hashes: list[str | None] = []
    for path in paths:
        if path is not None and path not in known:
            known[path] = hash_file(path)
        hashes.append(None if path is None else known[path])
    return hashes


@contextmanager
def opened_image(file: Path | BinaryIO) -> "Iterator[Image.Image]":
    """Open an image file for the block; what goes wrong in the block on its account is told as bad input.

    An image of more pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` is refused, where Pillow warns only up to
    twice as many.

    Raises
    ------
    InputError
        If the file is missing, is no image that Pillow can decode, or is too large or too long for one.
    """
    from PIL import Image, UnidentifiedImageError

    path = file if isinstance(file, Path) else None
    if path is not None:
        check_is_file(path)
    try:
        # Threads that open images at the same time may leave the filter behind, which is as well.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file)
        with image:
            _check_sides(image.size, path)
            yield image
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = Image.MAX_IMAGE_PIXELS
        raise InputError(f"got an image of too many pixels, allowed are {most:,}", path=path) from None
    except Exception as error:  # decoders raise whatever broken bytes lead them to
        told = type(error).__name__
        if not isinstance(error, UnidentifiedImageError):  # which names the file, or an object of ours
            told += f": {error}"
        raise InputError(
            f"got a file that cannot be read as an image ({told}), allowed is what Pillow reads", path=path
        ) from None


def check_image(path: Path) -> None:
    """Check that a file is a whole image.

    Raises
    ------
    InputError
        If it is none, a broken or torn one, or one that `opened_image` refuses.
    """
    with opened_image(path) as image:
        if image.format == "PNG":
            image.verify()  # it has checksums, and looking at them is quicker than decoding
        else:
            image.draft(None, (image.width // 8, image.height // 8))
            image.load()


def check_images(dataset: Dataset, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Check that every image file of a data set is a whole image; return how many there are.

    Parameters
    ----------
    dataset : Dataset
    progress : callable, optional
        Called with the number of files done and in all.

    Raises
    ------
    InputError
        If a file is no image, or a broken one; the message names file and question.
    """
    owner = {example.image: example.id for example in reversed(dataset.examples) if example.image is not None}
    for done, (path, example_id) in enumerate(owner.items(), start=1):
        try:
            check_image(path)
        except InputError as error:
            raise InputError(error.problem, path=path, record=example_id, field="image") from None
        if progress is not None:
            progress(done, len(owner))
    return len(owner)


def _check_sides(size: tuple[int, int], path: Path | None) -> None:
    short, long = sorted(size)
    if short < 1 or long > MOST_ELONGATED * short:
        raise InputError(
            f"got an image of {size[0]} x {size[1]} pixels, allowed is a longer side of "
            f"{MOST_ELONGATED} times the shorter",
            path=path,
        )
