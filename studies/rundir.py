"""A run folder on disk: one spec, one process at a time, steps that are not redone [edge].

A step has a name, inputs (plain values whose hash is its key), outputs (paths within the folder) and facts
(plain values that it returns, seconds included). ``steps/NAME.json`` records them: first as ``running``,
then, once the outputs stand, as ``done`` with their checksums. A step that is done under the same key is
skipped: its outputs are held against the checksums, its facts read back. A step that was cut off keeps its
outputs if the key is unchanged, since training and tuning resume on their own; with another key they are
removed first. So a half-written output is never taken for whole.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from llava_core.claims import check_writable, leaving_no_empty, locked
from llava_core.data.json_file import check_is_file, read_file
from llava_core.drafts import naming
from llava_core.errors import InputError
from llava_core.folders import file_inside
from studies.files import file_hash, remove, write_json, write_text

SCHEMA_VERSION = 1
SPEC_FILE = "spec.json"
MANIFEST_FILE = "manifest.json"
Facts = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDir:
    """An open run folder; get one from `open_run`."""

    path: Path

    def step(
        self,
        name: str,
        *,
        inputs: Mapping[str, object],
        outputs: Sequence[str],
        do: Callable[[], Facts | None],
    ) -> Facts:
        """Run a step unless it is done, and return its facts.

        Parameters
        ----------
        name : str
            Unique in the run; becomes a file name.
        inputs : mapping
            All that the result depends on, as plain values.
        outputs : sequence of str
            Files or folders that ``do`` writes, relative to the run folder.
        do : callable
            Does the work and returns plain values to keep.

        Raises
        ------
        InputError
            If ``do`` ended without one of its outputs, or an output of a step that is done was changed since.
        """
        marker = self.path / "steps" / f"{name}.json"
        key = digest(inputs)
        record = _read_record(marker)
        same = record.get("key") == key
        left = record.get("files", {})
        there = all((self.path / output).exists() for output in (*outputs, *left))
        if same and record.get("state") == "done" and there:
            self._check(left, step=name)
            return dict(record["facts"])
        if not same:
            for output in outputs:
                remove(self.path / output)
        begun = {
            "name": name,
            "key": key,
            "state": "running",
            "inputs": dict(inputs),
            "outputs": list(outputs),
        }
        write_json(marker, begun)
        started = perf_counter()
        with naming(self.path / outputs[0] if outputs else self.path):
            facts = do() or {}
        missing = [output for output in outputs if not (self.path / output).exists()]
        if missing:
            raise InputError(f"step {name} ended without {', '.join(missing)}", path=self.path)
        seconds = perf_counter() - started
        ended = {"state": "done", "seconds": seconds, "files": self._hashes(outputs), "facts": facts}
        write_json(marker, {**begun, **ended})
        return json_round(facts)

    def _hashes(self, outputs: Sequence[str]) -> dict[str, str]:
        """Return the SHA-256 of every file of a step's outputs."""
        files = [
            name
            for output, place in ((output, self.path / output) for output in outputs)
            for name in (kept_files(place, within=self.path) if place.is_dir() else [output])
        ]
        # A worker on another machine may end its last trial after the step.
        return {name: file_hash(self.path / name) for name in files if not name.endswith(".journal")}

    def _check(self, left: Mapping[str, str], *, step: str) -> None:
        """Hold the files of a step against the checksums that it left."""
        for name, told in left.items():
            file = file_inside(self.path, name)
            if file_hash(file) != told:
                raise InputError(
                    f"is not what the step {step} left; remove it to have it made again", path=file
                )

    def is_done(self, name: str) -> bool:
        """Whether a step came to its end, under whatever key."""
        return _read_record(self.path / "steps" / f"{name}.json").get("state") == "done"

    def seconds_by_kind(self) -> dict[str, float]:
        """Return the seconds of all steps, whichever process did them, by the first part of their names."""
        totals: dict[str, float] = {}
        for marker in sorted((self.path / "steps").glob("*.json")):
            kind = marker.name.split(".")[0]
            totals[kind] = totals.get(kind, 0.0) + float(_read_record(marker).get("seconds", 0.0))
        return totals

    def reopen(self) -> None:
        """Take away the manifest of an earlier end, before anything is done anew."""
        (self.path / MANIFEST_FILE).unlink(missing_ok=True)

    def finish(self, facts: Mapping[str, object]) -> None:
        """Write ``manifest.json``, last: the facts, and size and SHA-256 of every file that is kept.

        Drafts that killed processes left are removed before.
        """
        for draft in list(self.path.rglob(".*.writing")):
            remove(draft)
        files = {name: describe_file(self.path / name) for name in kept_files(self.path)}
        write_json(self.path / MANIFEST_FILE, {"schema_version": SCHEMA_VERSION, **facts, "files": files})

    @property
    def finished(self) -> bool:
        """Whether the run came to its end and every file that its manifest lists is still there."""
        listed = _read_record(self.path / MANIFEST_FILE).get("files", {})
        return bool(listed) and all((self.path / name).is_file() for name in listed)


@contextmanager
def open_run(
    path: Path, *, spec: str, resume: bool, differ: Callable[[str], Sequence[str]]
) -> Iterator[RunDir]:
    """Open a run folder for one process, new or to be continued.

    Parameters
    ----------
    path : Path
        Created where it is missing.
    spec : str
        Text of the specification; stored in a new folder.
    resume : bool
        Whether a folder that holds a run may be continued.
    differ : callable
        Given the stored text, returns what differs from ``spec``.

    Raises
    ------
    InputError
        If the folder holds something else, a run of another specification, a run and ``resume`` is false,
        or another process works in it.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError("got a file, allowed is a folder for the run", path=path)
    stored = path / SPEC_FILE
    if (
        path.is_dir()
        and not stored.exists()
        and any(not file.name.startswith(".") for file in path.iterdir())
    ):
        raise InputError(
            "got a folder that is not empty and holds no run, allowed is a new or empty one", path=path
        )
    with held(path):
        is_new = not stored.exists()
        if is_new:
            write_text(stored, spec)
        elif not resume:
            raise InputError(
                "holds a run already; continue it with --resume or choose another --out", path=path
            )
        elif different := differ(_text(stored)):
            raise InputError(
                f"holds a run of another specification ({'; '.join(different)}); "
                "choose another --out, or remove the folder",
                path=path,
            )
        try:
            with naming(path):
                yield RunDir(path=path)
        except InputError:
            # Nothing was done yet: the mended command must find the folder as if new.
            if is_new and not (path / "steps").is_dir():
                stored.unlink()
            raise


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a run folder, made where it is missing, for this process.

    Raises
    ------
    InputError
        If another process works in it, or nothing can be written into it.
    """
    with leaving_no_empty(path):
        check_writable(path)
        with locked(path / ".lock", place=path):
            yield


def kept_files(folder: Path, *, within: Path | None = None) -> list[str]:
    """Return the files of a run, or of a folder within it, that its manifest lists, relative to the run."""
    run = folder if within is None else within
    names = (file.relative_to(run) for file in sorted(folder.rglob("*")) if file.is_file())
    return [name.as_posix() for name in names if not _is_passing(name)]


def describe_file(file: Path) -> Facts:
    """Return what the manifest says of a file."""
    return {"bytes": file.stat().st_size, "sha256": file_hash(file)}


def digest(inputs: Mapping[str, object]) -> str:
    """Return the SHA-256 of plain values, independent of the order of keys."""
    text = json.dumps(inputs, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def json_round(content: Facts) -> Facts:
    """Return the values as they will be read back, so that a first run and a resumed one see the same."""
    result: Facts = json.loads(json.dumps(content, default=str))
    return result


def _read_record(marker: Path) -> dict[str, Any]:
    if not marker.exists():
        return {}
    check_is_file(marker)
    try:
        record = json.loads(marker.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) and _is_whole(record) else {}


def _is_whole(record: Mapping[str, Any]) -> bool:
    """Whether what is read of a record is of its type; another record is as good as none."""
    facts, files, seconds = (
        record.get(name, none) for name, none in (("facts", {}), ("files", {}), ("seconds", 0))
    )
    is_told = record.get("state") != "done" or "facts" in record
    return (
        is_told and isinstance(facts, dict) and isinstance(files, dict) and isinstance(seconds, int | float)
    )


def _text(file: Path) -> str:
    try:
        return read_file(file).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", path=file) from None


def _is_passing(relative: Path) -> bool:
    """Lock, drafts and the manifest itself; bundled images are covered by the data's fingerprint."""
    return (
        relative.parts[-1].startswith(".")
        or str(relative) == MANIFEST_FILE
        or relative.parts[:2] == ("data", "images")
    )
