"""The parts of a feature store while it is being made: one file per chunk of questions [edge].

``OUT.parts/KEY/`` holds ``chunk-00000.safetensors`` and so on, each written beside its place and renamed, so
that what is there is whole. The key is a hash of all that the numbers depend on: other inputs have another
folder. Processes share the chunks out by their numbers; a killed one finds what it had done. Whoever finds
all chunks there joins them.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llava_core.claims import is_at
from llava_core.drafts import whole_file
from llava_core.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Chunks of one store."""

    out: Path
    """Folder of the store to be."""
    key: str
    n_chunks: int

    @property
    def folder(self) -> Path:
        """Where the chunks are."""
        return self._all / self.key[:16]

    @property
    def n_there(self) -> int:
        """Chunks that are there."""
        return sum(self.has(number) for number in range(self.n_chunks))

    def has(self, number: int) -> bool:
        """Return whether a chunk is there."""
        return self._file(number).is_file()

    def write(self, number: int, blocks: Mapping[str, NDArray[Any]], counts: Mapping[str, int]) -> None:
        """Write a chunk: its rows of each block, and numbers to be added up over all chunks."""
        from safetensors.numpy import save_file

        told = {name: str(count) for name, count in counts.items()}
        contiguous = {name: np.ascontiguousarray(array) for name, array in blocks.items()}
        with self._held(alone=False), whole_file(self._file(number), shared=True) as draft:
            save_file(contiguous, draft, metadata=told)

    def block(self, name: str) -> NDArray[Any]:
        """Return the rows of a block of all chunks, in the data's order."""
        from safetensors import safe_open

        found = []
        for number in range(self.n_chunks):
            with _reading(self._file(number)), safe_open(self._file(number), framework="numpy") as file:
                found.append(file.get_tensor(name))
        return np.concatenate(found)

    def counts(self) -> dict[str, int]:
        """Return the added numbers of all chunks."""
        from safetensors import safe_open

        totals: dict[str, int] = {}
        for number in range(self.n_chunks):
            with _reading(self._file(number)), safe_open(self._file(number), framework="numpy") as file:
                for name, count in sorted((file.metadata() or {}).items()):
                    totals[name] = totals.get(name, 0) + int(count)
        return totals

    @contextmanager
    def joining(self) -> Iterator[bool]:
        """Keep others away while the chunks are joined, then remove them; False where some are missing."""
        with self._held(alone=True):
            is_whole = self.n_there == self.n_chunks
            yield is_whole
            if is_whole:
                self._remove()

    def remove(self) -> None:
        """Remove the chunks of a store that is made, once nobody writes one any more."""
        if self._all.is_dir():
            with self._held(alone=True):
                self._remove()

    def _remove(self) -> None:
        """Remove the chunks, then the lock: who finds it gone makes another one, maybe in this folder."""
        for folder in self._all.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)
        self._lock_file.unlink()
        with suppress(OSError):  # where somebody has begun anew
            self._all.rmdir()

    @contextmanager
    def _held(self, *, alone: bool) -> Iterator[None]:
        """Keep the folder where it is; together with others who write chunks, or alone to remove it."""
        import fcntl

        while True:
            # Not by exist_ok, which fails where the folder is removed just then.
            with suppress(FileExistsError):
                self._all.mkdir(parents=True)
            try:
                lock = self._lock_file.open("w")
            except FileNotFoundError:
                continue  # removed since
            with lock:
                fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
                if is_at(self._lock_file, lock.fileno()):
                    self.folder.mkdir(exist_ok=True)
                    yield
                    return

    @property
    def _all(self) -> Path:
        return self.out.with_name(f"{self.out.name}.parts")

    @property
    def _lock_file(self) -> Path:
        return self._all / ".lock"

    def _file(self, number: int) -> Path:
        return self.folder / f"chunk-{number:05d}.safetensors"


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, ValueError, OSError) as error:
        raise InputError(f"is no whole chunk; remove it and go on ({error})", path=file) from None
