"""Files of a finished run against its ``manifest.json``: each as it is read, or all at once [edge].

A command that writes into a finished run lists what it wrote anew, and nothing else, so that a change that
somebody else made stays visible. Left out: the pictures of the bundled data, which the data's fingerprint
covers; and whoever changes the manifest as well, since a hash is no signature.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from llava_core.data.json_file import read_json_object
from llava_core.errors import InputError
from studies.files import file_hash, write_json
from studies.rundir import MANIFEST_FILE, SCHEMA_VERSION, SPEC_FILE, describe_file, kept_files

Tick = Callable[[int, int], None]
MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What a run folder holds against what its manifest says; names are relative to the folder."""

    n_files: int
    """Listed in the manifest."""
    n_bytes: int
    """Of the files that were read."""
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing differs."""
        return not (self.changed or self.missing or self.added)


def is_finished(run_path: Path) -> bool:
    """Whether a run wrote its manifest, which it does last."""
    return (run_path / MANIFEST_FILE).is_file()


def read_manifest(run_path: Path) -> dict[str, Any]:
    """Return the manifest of a finished run.

    Raises
    ------
    InputError
        If the folder holds no finished run, or the manifest is none.
    """
    file = run_path / MANIFEST_FILE
    if not file.is_file():
        has_run = (run_path / SPEC_FILE).is_file()
        raise InputError(
            f"holds {'an unfinished run; finish it with --resume' if has_run else 'no run'}", path=run_path
        )
    manifest = read_json_object(file)
    try:
        version, files = manifest["schema_version"], manifest["files"]
        is_sound = all({"bytes", "sha256"} <= described.keys() for described in files.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("got a broken manifest of a run", path=file) from None
    if version != SCHEMA_VERSION:
        raise InputError(f"got {version!r}, allowed is {SCHEMA_VERSION}", path=file, field="schema_version")
    if not is_sound:
        raise InputError("got a file without bytes and sha256", path=file, field="files")
    return manifest


def checked(run_path: Path, *names: str) -> Path:
    """Return the path of the first file, after checking that all of them are as the manifest lists them.

    Raises
    ------
    InputError
        Naming the file that is missing, changed, or none of the run's.
    """
    listed = read_manifest(run_path)["files"]
    for name in names:
        file = run_path / name
        if not file.is_file():
            raise InputError("no such file in the run", path=file)
        if name not in listed:
            raise InputError(f"{MANIFEST_FILE} does not list this file: it was added to the run", path=file)
        if file_hash(file) != listed[name]["sha256"]:
            raise InputError(
                f"its SHA-256 is not that of {MANIFEST_FILE}: the file was changed after the run", path=file
            )
    return run_path / names[0]


def checked_folder(run_path: Path, name: str) -> Path:
    """Return the path of a folder of a run, after checking every file that is in it or listed in it."""
    listed = [file for file in read_manifest(run_path)["files"] if file.startswith(f"{name}/")]
    checked(run_path, *sorted({*listed, *kept_files(run_path / name, within=run_path)}))
    return run_path / name


@contextmanager
def rewriting(run_path: Path, written: Sequence[str], *, added: Sequence[str] = ()) -> Iterator[None]:
    """Write files of a finished run anew: they are listed at the end as `list_anew` lists them.

    Until then they are not listed, so that they are added, and not changed, where the command is killed.
    Where it fails, what it had not come to is listed as before.
    """
    listed = read_manifest(run_path)["files"]
    unlist(run_path, written)
    try:
        yield
    except BaseException:
        unlisted = {name: told for name, told in listed.items() if _matches(name, written)}
        list_anew(run_path, written=[name for name in unlisted if _is_as(run_path / name, unlisted[name])])
        raise
    list_anew(run_path, written=written, added=added)


def list_anew(run_path: Path, *, written: Sequence[str], added: Sequence[str] = ()) -> None:
    """List in the manifest what a command wrote into a finished run; all else stays listed as it was.

    Parameters
    ----------
    run_path : Path
    written : sequence of str
        Patterns of files that the command wrote or removed, such as ``tables/*``.
    added : sequence of str
        Patterns of files that it may have added; those that are listed already stay listed as they were.
    """
    manifest = read_manifest(run_path)
    files = {name: told for name, told in manifest["files"].items() if not _matches(name, written)}
    for name in kept_files(run_path):
        if name not in files and _matches(name, (*written, *added)):
            files[name] = describe_file(run_path / name)
    manifest["files"] = dict(sorted(files.items()))
    write_json(run_path / MANIFEST_FILE, manifest)


def unlist(run_path: Path, names: Sequence[str]) -> None:
    """Take files that are about to be written anew out of the manifest.

    So they are added, and not changed, where the command that writes them is cut off.
    """
    manifest = read_manifest(run_path)
    files = {name: told for name, told in manifest["files"].items() if not _matches(name, names)}
    write_json(run_path / MANIFEST_FILE, {**manifest, "files": files})


def verify_run(run_path: Path, tick: Tick) -> Verified:
    """Compute every hash of a finished run again.

    Parameters
    ----------
    run_path : Path
    tick : callable
        Told how many megabytes are read, of how many.
    """
    listed = read_manifest(run_path)["files"]
    there = set(kept_files(run_path))
    common = [name for name in listed if name in there]
    sizes = {name: (run_path / name).stat().st_size for name in common}
    total, done, changed = sum(sizes.values()), 0, []
    for name in common:
        told = listed[name]
        if sizes[name] != told["bytes"] or file_hash(run_path / name) != told["sha256"]:
            changed.append(name)
        done += sizes[name]
        tick(done // MEGABYTE, total // MEGABYTE)
    return Verified(
        n_files=len(listed),
        n_bytes=total,
        changed=tuple(changed),
        missing=tuple(name for name in listed if name not in there),
        added=tuple(sorted(there - set(listed))),
    )


def _is_as(file: Path, told: Mapping[str, Any]) -> bool:
    return file.is_file() and describe_file(file) == told


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
