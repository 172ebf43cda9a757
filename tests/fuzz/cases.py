"""One case: valid files, one fault in them, a public reader called in this process, and what came of it.

A case ends in a *result*, a *refusal* (one `InputError` of one line that names the file) or a *defect*: any
other exception, a hang, memory beyond the limit, or a write outside the folders that a reader may write to.
Seeded: reader, seed and number decide a case.
"""

import os
import random
import resource
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from llava_core.errors import InputError
from tests.fuzz.mutators import spoil

HANG_S = 10.0
MOST_BYTES = 2 << 30
"""Of memory that a case may take beyond what the process had before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """A reader under test."""

    name: str
    corpus: Callable[[Path], None]
    """Writes small valid files into a folder."""
    read: Callable[[Path], object]
    """Reads that folder through the public function, to the end."""
    mended: Callable[[Path], None] | None = None
    """Makes checksums in the folder right again, so that every second fault lies behind them."""
    names_file: bool = True
    """Whether a refusal has to name a file; texts of the command line have none."""
    faults_of_files: bool = True
    """Whether files are removed, or become folders, pipes and links, as well."""
    files: tuple[str, ...] = ("*",)
    """Patterns of the files that faults are put into."""
    share: float = 1.0
    """Cases of it in a run, as a share of those of other readers; the slow ones have less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a case."""

    kind: Literal["result", "refused", "defect"]
    fault: str
    """What was done to which file."""
    told: str
    """Message of a refusal; kind and place of a defect."""


class Hang(BaseException):
    """A case took longer than `HANG_S`."""


class Bench:
    """Runs the cases of one reader.

    Parameters
    ----------
    reader : Reader
    folder : Path
        Of its own; holds the corpus, the case at hand, and what lies beside it and must not be reached.
    """

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader = reader
        self.folder = folder
        self.case = folder / "case"
        self.beside = folder / "beside"
        (folder / "valid").mkdir(parents=True)
        self.beside.mkdir()
        (self.beside / "secret.txt").write_text("secret")
        reader.corpus(folder / "valid")
        root = folder / "valid"
        self.valid = {file.relative_to(root): file.read_bytes() for file in root.rglob("*") if file.is_file()}
        self.targets = sorted({path for each in reader.files for path in self.valid if path.match(each)})
        assert self.targets, f"{reader.name}: the corpus has no file of {reader.files}"

    def run(self, seed: int, number: int) -> Outcome:
        """Run one case."""
        rng = random.Random(f"{self.reader.name}:{seed}:{number}")
        self.lay()
        fault = spoil(self.case, self.targets, rng, of_files=self.reader.faults_of_files)
        regular = all((self.case / path).is_file() for path in self.targets)  # a pipe would never end
        if self.reader.mended is not None and regular and rng.random() < 0.5:
            try:
                self.reader.mended(self.case)
                fault += ", checksums made right"
            except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
                pass  # The fault lies in the file with the checksums.
        return judged(self.reader, self.case, fault, allowed=[self.case, self.folder / "cache"])

    def lay(self) -> None:
        """Put the valid files in place of the last case."""
        shutil.rmtree(self.case, ignore_errors=True)
        for path, content in self.valid.items():
            (self.case / path).parent.mkdir(parents=True, exist_ok=True)
            (self.case / path).write_bytes(content)


def judged(reader: Reader, folder: Path, fault: str, *, allowed: list[Path]) -> Outcome:
    """Call a reader on a folder and class what comes of it."""
    written: list[str] = []
    try:
        with in_time(), watched(allowed, written), in_memory(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            reader.read(folder)
        outcome = Outcome(kind="result", fault=fault, told="")
    except InputError as error:
        problem = fault_of_message(str(error), folder, names_file=reader.names_file)
        kind: Literal["refused", "defect"] = "defect" if problem else "refused"
        outcome = Outcome(
            kind=kind, fault=fault, told=f"{problem}: {error!s:.300}" if problem else str(error)
        )
    except Hang:
        outcome = Outcome(kind="defect", fault=fault, told=f"took more than {HANG_S:g} s")
    except Exception as error:
        outcome = Outcome(kind="defect", fault=fault, told=place_of(error))
    if written:
        return Outcome(kind="defect", fault=fault, told=f"wrote outside: {written[0]}")
    return outcome


def fault_of_message(message: str, folder: Path, *, names_file: bool) -> str | None:
    """Return what is wrong with a refusal's message, None if nothing is."""
    if not message.strip():
        return "an empty message"
    if len(message.splitlines()) > 1 or not message.isprintable():
        return "a message of more than one printable line"
    if len(message) > 2000:
        return f"a message of {len(message)} signs"
    if names_file and str(folder) not in message:
        return "a message that names no file"
    return None


def place_of(error: BaseException) -> str:
    """Return type, message and the innermost frame of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f for f in frames if any(f"/{part}/" in f.filename for part in ("llava_core", "ensembles", "studies"))
    ]
    last = (ours or frames)[-1]
    what = " ".join(str(error).split())[:160].encode("ascii", "backslashreplace").decode()
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} {last.name}: {what}"


@contextmanager
def in_time() -> Iterator[None]:
    """Raise `Hang` in a block that takes longer than `HANG_S`, without what the process was stopped for."""
    left = round(HANG_S)

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def in_memory() -> Iterator[None]:
    """Refuse memory beyond `MOST_BYTES` more than the process has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status").read_text()
    has = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (has + MOST_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


_WRITES = {
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.link",
    "os.symlink",
    "os.chmod",
}
_watching: list[tuple[list[str], list[str]]] = []


@contextmanager
def watched(allowed: list[Path], written: list[str]) -> Iterator[None]:
    """Note in ``written`` what Python code writes or removes outside some folders."""
    if not _hooked:
        sys.addaudithook(_note)
        _hooked.append(True)
    _watching.append(([str(folder.resolve()) for folder in allowed], written))
    try:
        yield
    finally:
        _watching.pop()


_hooked: list[bool] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if not _watching or (event != "open" and event not in _WRITES):
        return
    if event == "open":
        path, _, flags = args
        writes = (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if isinstance(path, int) or not writes:
            return
    else:
        path = args[1] if event in ("os.rename", "os.link", "os.symlink") else args[0]
    allowed, written = _watching[-1]
    if isinstance(path, int):
        return
    # What removes or renames a link does so to the link; what opens it, to the file behind it.
    given = Path(os.fsdecode(path))
    follows = event in ("open", "os.truncate")
    place = str(given.resolve() if follows else given.parent.resolve() / given.name)
    inside = any(place == folder or place.startswith(folder + os.sep) for folder in (*allowed, "/dev"))
    if not inside and ".pyc" not in place:
        written.append(f"{event} {place}")
