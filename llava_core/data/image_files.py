"""Image files as bytes: their hashes, and the check that each one is an image [edge].

Left out: pixels, see `llava_core.data.images`, which needs torch.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from llava_core.data.example import Dataset
from llava_core.errors import InputError


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
    from PIL import Image, UnidentifiedImageError

    owner = {example.image: example.id for example in reversed(dataset.examples) if example.image is not None}
    for done, (path, example_id) in enumerate(owner.items(), start=1):
        try:
            with Image.open(path) as image:
                image.verify()
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise InputError(
                f"got a file that is no whole image ({type(error).__name__}), allowed is what Pillow reads",
                path=path,
                record=example_id,
                field="image",
            ) from None
        if progress is not None:
            progress(done, len(owner))
    return len(owner)
