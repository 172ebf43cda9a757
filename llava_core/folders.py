"""Folders that a run may replace, and those of a user that it must not; results that appear whole [edge].

What is written stands beside its place, under a name that begins with a dot, until it is whole. The names are
fixed: what a killed process left there is cleared away by the next one that writes the same result.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from llava_core.claims import locked
from llava_core.drafts import naming, whole_file
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
        If a file, a folder of others, a mount or the working folder stands there, or the folder above it
        cannot be made.
    """
    path = Path(path)
    place = Path(os.path.realpath(path))
    if place == Path(os.path.realpath(os.curdir)):
        raise InputError("got the working folder, which is not replaced; name a folder in it", path=path)
    if place.is_mount():
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


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes a place once the block has ended well.

    What stood there before is moved aside first, so that under the name is the old folder, nothing, or the
    new one, but never a part of one.

    Raises
    ------
    InputError
        If another process writes to the same place.
    """
    path = Path(os.path.realpath(path))  # where a link leads
    draft, aside = _draft(path), _aside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path, draft=draft), locked(_lock_file(path), place=path):
        _clear(draft, aside)
        draft.mkdir()
        try:
            yield draft
            if path.exists():
                path.replace(aside)
            draft.replace(path)
        finally:
            _clear(draft, aside)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside a place, for what is needed until the result stands there.

    It has one name, so that what a killed process left is cleared by the next one: the place is to be held
    (`llava_core.claims.claimed`).
    """
    path = Path(os.path.realpath(path))
    scratch = path.with_name(f".{path.name}.scratch")
    _clear(scratch)
    with naming(path, draft=scratch):
        scratch.mkdir(parents=True)
        try:
            yield scratch
        finally:
            _clear(scratch)


def clear_drafts(path: Path) -> None:
    """Remove what a killed process left beside a place where `whole_folder` writes."""
    path = Path(os.path.realpath(path))
    drafts = _draft(path), _aside(path)
    if _lock_file(path).exists() or any(draft.exists() for draft in drafts):
        with suppress(InputError), locked(_lock_file(path), place=path):
            _clear(*drafts)


def write_whole(path: Path, text: str) -> None:
    """Write a text file through a sibling, so that a reader never sees half of it."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


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


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.writing")


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _clear(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
