"""One pass over caption files that finds the phrases of all captions, on several processes [edge].

Chunks are read by one process, searched by others and joined in the order of the files, so that the result
does not depend on how many there are. Each searched chunk is kept in ``OUT.parts/KEY`` until the filter is
done; the key covers files, columns and finder, and a run that was killed searches only what is not there.

Captions and what is found in them go from process to process by files there, see `worker_pool`.
"""

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import Any

from llava_core.concepts.captions import CHUNK_CAPTIONS, CaptionChunk, Columns, caption_chunks
from llava_core.concepts.chunk_phrases import ChunkPhrases, find_in_chunk
from llava_core.concepts.finders import RULES, finder_version
from llava_core.concepts.index import IndexBuilder
from llava_core.concepts.phrases import PhraseForm
from llava_core.drafts import whole_file
from llava_core.errors import InputError
from llava_core.workers import worker_pool

_WAITING_PER_PROCESS = 3
"""Chunks that are read ahead, so that no process waits and the memory stays bounded."""
RULES_VERSION = 1
"""Raised when the rules find other phrases, so that no older part is taken up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanConfig:
    """What is read, and how phrases are found and told apart."""

    columns: Columns = Columns()
    finder: str = RULES
    form: PhraseForm = PhraseForm()
    pass_over_bad: bool = False
    """Count bad records and go on; otherwise the first one ends the run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What a pass over the files has found."""

    builder: IndexBuilder
    n_captions: int
    bad_records: list[str]
    """The fault of each record that was passed over."""
    n_resumed: int
    """Chunks that an earlier run had searched."""


def scan_captions(
    paths: Sequence[Path],
    config: ScanConfig,
    *,
    parts: Path,
    n_processes: int = 2,
    chunk_captions: int = CHUNK_CAPTIONS,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """Find the phrases of all captions.

    Parameters
    ----------
    paths : sequence of Path
        Files of captions, see `caption_chunks`.
    config : ScanConfig
    parts : Path
        Folder for what is found, chunk by chunk; `remove_parts` removes it.
    n_processes : int
        Processes that search; with 1 this process does.
    chunk_captions : int
        Captions in a chunk.
    progress : callable, optional
        Called with how much of the files is searched, and how much there is.

    Raises
    ------
    InputError
        If a file or the finder cannot be used; see `caption_chunks` and `load_finder`.
    """
    key = _key(paths, config, chunk_captions)
    folder = parts / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    bad: list[str] = []
    builder = IndexBuilder()
    n_captions = n_resumed = 0
    waiting: deque[tuple[Path, Future[None] | None, tuple[int, int]]] = deque()
    of_others = set(active_children())
    pool: Executor = _Here() if n_processes == 1 else worker_pool(n_processes)

    def take() -> None:
        file, found, (done, total) = waiting.popleft()
        if found is not None:
            found.result()
        builder.add(ChunkPhrases.read(file))
        if progress is not None:
            progress(done, total)

    with pool:
        try:
            for number, (chunk, place) in enumerate(all_chunks(paths, config, bad, size=chunk_captions)):
                file = folder / f"chunk-{number:05d}.npz"
                n_captions += len(chunk.captions)
                if file.is_file():
                    n_resumed += 1
                    waiting.append((file, None, place))
                else:
                    captions = _write_captions(folder, number, chunk)
                    waiting.append((file, pool.submit(_search, captions, file, config), place))
                while len(waiting) > _WAITING_PER_PROCESS * n_processes:
                    take()
            while waiting:
                take()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # What they are at is of no use any more.
            for worker in set(active_children()) - of_others:
                worker.kill()
            raise
    return Scan(builder=builder, n_captions=n_captions, bad_records=bad, n_resumed=n_resumed)


def all_chunks(
    paths: Sequence[Path], config: ScanConfig, bad: list[str], *, size: int = CHUNK_CAPTIONS
) -> Iterator[tuple[CaptionChunk, tuple[int, int]]]:
    """Yield the chunks of all files, each with how far that is, and how far it can be.

    Parameters
    ----------
    paths : sequence of Path
    config : ScanConfig
    bad : list of str
        Takes the faults of records that are passed over.
    size : int
        Captions in a chunk.
    """
    sizes = [path.stat().st_size if path.is_file() else 0 for path in paths]
    on_bad: Callable[[InputError], None] | None = (
        (lambda fault: bad.append(str(fault))) if config.pass_over_bad else None
    )
    for number, path in enumerate(paths):
        for chunk in caption_chunks(path, config.columns, size=size, on_bad=on_bad):
            share = sizes[number] * chunk.done // max(chunk.total, 1)
            yield chunk, (sum(sizes[:number]) + share, sum(sizes))


def remove_parts(parts: Path) -> None:
    """Remove what was kept for resuming."""
    shutil.rmtree(parts, ignore_errors=True)


def _write_captions(folder: Path, number: int, chunk: CaptionChunk) -> Path:
    """Write a chunk's captions, and what tells each from another one with the same words."""
    sources = [
        "\0".join(part or "" for part in told)
        for told in zip(chunk.ids, chunk.images, chunk.urls, strict=True)
    ]
    file = folder / f"captions-{number:05d}.json"
    with whole_file(file) as draft:
        draft.write_text(json.dumps([chunk.captions, sources]))
    return file


def _search(captions: Path, file: Path, config: ScanConfig) -> None:
    """Write the phrases of a file of captions, which is removed."""
    texts, sources = json.loads(captions.read_text())
    find_in_chunk(texts, sources, finder=config.finder, form=config.form).write(file)
    captions.unlink()


def _key(paths: Sequence[Path], config: ScanConfig, chunk_captions: int) -> str:
    """Return a hash over all that the phrases depend on; files by name, size and time of change."""
    told: dict[str, Any] = {
        "files": [
            (str(path.resolve()), status.st_size, status.st_mtime_ns)
            for path in paths
            if path.is_file()
            for status in (path.stat(),)
        ],
        "config": asdict(config),
        "finder": finder_version(config.finder),
        "rules": RULES_VERSION,
        "chunk": chunk_captions,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class _Here(Executor):
    """Searches in this process, at once."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Return what is already done."""
        done: Future[Any] = Future()
        done.set_result(call(*args, **named))
        return done
