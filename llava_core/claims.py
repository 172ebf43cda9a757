"""Places that one process at a time writes to, and that it finds out before any work is done [edge].

A lock belongs to the process: the system takes it away from one that was killed. Its file is removed at the
end, so that none is left beside a result.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from llava_core.errors import InputError

_MARKS = {"spec.json": b'"study"', "manifest.json": b'"schema_version"'}
"""Files that tell a folder of ours, and what each holds; others write files of these names, too."""


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold the place of a result, a file or a folder that is replaced as a whole, until the context ends.

    Raises
    ------
    InputError
        If another process holds it, nothing can be written there, or a pipe or a device stands there.
    """
    place = Path(os.path.realpath(out))  # of a link, where it leads; of ".", the folder's name
    if not place.name:
        raise InputError("got the root of all folders, which nothing can replace", path=out)
    if out.exists() and not (out.is_file() or out.is_dir()):
        raise InputError("got a pipe or a device, which a file would replace; name another --out", path=out)
    with leaving_no_empty(place.parent):
        check_writable(place.parent, place=out)
        with locked(place.with_name(f".{place.name}.claim"), place=out):
            yield


@contextmanager
def claimed_file(
    out: Path,
    *,
    inputs: Iterable[Path | None] = (),
    beside: Callable[[Path], Mapping[Path, bytes]] = lambda place: {},
) -> Iterator[Path]:
    """Hold the place of a single file, as `claimed` does, unless that would destroy what nobody named.

    Yields the file to write, of a link the one that it leads to: what is written whole replaces its place.

    Parameters
    ----------
    out : Path
    inputs : iterable of Path or None
        What the command reads.
    beside : callable, optional
        From the file to those written along with it, and a regular expression for how each begins.

    Raises
    ------
    InputError
        As by `claimed`, if a folder or an input stands there, if it lies in a run, a feature store or a
        checkpoint, or if a file beside it begins otherwise than ours do.
    """
    place = Path(os.path.realpath(out)) if out.is_symlink() else out
    if out.is_dir():
        raise InputError("got a folder, allowed is a file to write", path=out, field="out")
    if os.path.realpath(out) in {os.path.realpath(each) for each in inputs if each is not None}:
        raise InputError("got a file that is read; name another --out", path=out, field="out")
    result = _result_around(Path(os.path.realpath(out)))
    if result is not None:
        raise InputError(
            f"got a place within {result}, which holds a run, a feature store or a checkpoint; "
            "name a file elsewhere",
            path=out,
            field="out",
        )
    for file, beginning in beside(place).items():
        if file.exists() and not (file.is_file() and _begins(file, beginning)):
            raise InputError(
                f"would be replaced beside {place.name}, and is not ours to replace; name another --out",
                path=file,
            )
    with claimed(out):
        yield place


@contextmanager
def leaving_no_empty(folder: Path) -> Iterator[None]:
    """Remove at the end what was made of a folder and those above it, where nothing came to stand in them."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield
    finally:
        for each in missing:
            with suppress(OSError):  # not empty
                each.rmdir()


@contextmanager
def locked(file: Path, *, place: Path, wait: bool = False) -> Iterator[None]:
    """Hold a lock until the context ends.

    Parameters
    ----------
    file : Path
        Made, and removed at the end.
    place : Path
        What the error names.
    wait : bool
        Until another process lets go of it.

    Raises
    ------
    InputError
        If another process holds it and is not waited for.
    """
    import fcntl

    while True:
        with _opened(file, place) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    "another process writes this; wait for it, or name another --out", path=place
                ) from None
            if not is_at(file, lock.fileno()):
                continue  # its holder ended, and removed it, between our opening and locking it
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return


def check_writable(folder: Path, *, place: Path | None = None) -> None:
    """Check that files can be written into a folder, made where it is missing.

    Parameters
    ----------
    folder : Path
    place : Path, optional
        What the error names in place of the folder.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or the disk is full already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        told = (error.strerror or str(error)).lower()
        raise InputError(f"nothing can be written here ({told})", path=place or folder) from None


def _result_around(place: Path) -> Path | None:
    """Return the folder of ours that a place lies in, told by what its first and its last file hold."""
    for folder in place.parents:
        for name, mark in _MARKS.items():
            with suppress(OSError):
                if (folder / name).is_file() and mark in (folder / name).read_bytes():
                    return folder
    return None


def _begins(file: Path, beginning: bytes) -> bool:
    with file.open("rb") as opened:
        return re.match(beginning, opened.read(4096)) is not None


def _opened(file: Path, place: Path) -> IO[str]:
    try:
        return file.open("w")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(place)) from error


def is_at(file: Path, descriptor: int) -> bool:
    """Whether an open file is the one that stands at a path."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
