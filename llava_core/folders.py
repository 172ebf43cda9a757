"""Folders that a run may replace, and those of a user that it must not [edge]."""

import os
from collections.abc import Sequence
from pathlib import Path

from llava_core.errors import InputError, shown


def check_replaceable(path: Path, *, marks: Sequence[str]) -> None:
    """Refuse a place for a result that holds something else.

    Parameters
    ----------
    path : Path
        Where a folder will be written. Nothing, an empty folder, or one of ours may stand there.
    marks : sequence of str
        Files of which one at least stands in a folder of ours.

    Raises
    ------
    InputError
        If a file, a folder of others or a mount stands there, or the folder above it cannot be made.
    """
    path = Path(path)
    if path.is_mount():
        raise InputError("got a mount point, which nothing can replace; name a folder in it", path=path)
    if path.is_dir():
        if any(path.iterdir()) and not any((path / mark).is_file() for mark in marks):
            raise InputError("got a folder that is not ours to replace; name another --out", path=path)
    elif path.exists():
        raise InputError("got a file, allowed is a folder to write; name another --out", path=path)
    else:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder above cannot be made ({error.strerror})", path=path) from None


def file_inside(folder: Path, name: object) -> Path:
    """Return the file that a list of files names in a folder.

    Raises
    ------
    InputError
        If the name is none, or leads out of the folder.
    """
    path = Path(name) if isinstance(name, str) and "\0" not in name else Path()
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise InputError(f"got {shown(name)}, allowed is the name of a file in the folder", path=folder)
    return folder / path


def cache_folder(name: str) -> Path:
    """Return the folder for files of one kind in the user's cache, which can always be made anew.

    Its place is ``llava_core/NAME`` in the folder that ``XDG_CACHE_HOME`` names, else in ``~/.cache``.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "llava_core" / name
