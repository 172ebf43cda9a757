"""LLaVA's concept filter from files to a folder: scan, walk, write [edge].

The folder holds ``pairs.parquet`` (the kept captions), ``concepts.parquet`` (captions per phrase before and
after), ``summary.json``, ``coverage.svg`` and on request ``chat.json`` (stage-1 records). It appears under
its name only when it is whole, and the same inputs give the same bytes. Left out: downloading the images.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llava_core.concepts.captions import CHUNK_CAPTIONS
from llava_core.concepts.coverage import draw_coverage, measure_coverage
from llava_core.concepts.expand import expand
from llava_core.concepts.finders import finder_version
from llava_core.concepts.index import Duplicates, PhraseIndex, Ties
from llava_core.concepts.scan import RULES_VERSION, Scan, ScanConfig, all_chunks, remove_parts, scan_captions
from llava_core.concepts.walk import Pool, WalkConfig, walk
from llava_core.data.json_file import read_json_object
from llava_core.errors import InputError
from llava_core.folders import check_replaceable, clear_drafts, whole_folder

SUMMARY_FILE = "summary.json"
PAIRS_FILE = "pairs.parquet"
CONCEPTS_FILE = "concepts.parquet"
COVERAGE_FILE = "coverage.svg"
RECORDS_FILE = "chat.json"
MARKS = (CONCEPTS_FILE,)
"""File that tells a folder of ours; ``summary.json`` stands in folders of other commands, too."""
_FAULTS_TOLD = 20

Steps = Callable[[str], Callable[[int, int], None]]
"""Begins a step of that name and returns its progress callback."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterConfig:
    """Everything that the result depends on, but the files."""

    scan: ScanConfig = ScanConfig()
    walk: WalkConfig = WalkConfig()
    min_count: int = 3
    """Phrases in fewer captions are left out."""
    ties: Ties = "alphabet"
    """Order among equally frequent phrases. ``alphabet`` can be checked by hand, ``seeded`` is fair."""
    duplicates: Duplicates = "keep"
    """``keep``: two pictures with the same caption are two pairs. ``drop``: the first one stands for all."""
    records: bool = False
    """Write stage-1 records too."""
    image_names: str | None = None
    """Of the records, where captions have no image: a pattern with {id}, or {row} counted from 0."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.min_count < 1:
            raise ValueError(f"got min_count {self.min_count}, allowed is 1 or more")


def filter_captions(
    paths: Sequence[Path],
    out: Path,
    config: FilterConfig,
    *,
    n_processes: int = 2,
    chunk_captions: int = CHUNK_CAPTIONS,
    steps: Steps = lambda name: lambda done, total: None,
) -> dict[str, Any]:
    """Filter files of captions into a folder.

    Parameters
    ----------
    paths : sequence of Path
        Files that `llava_core.concepts.captions.caption_chunks` reads, as if they were one.
    out : Path
        Folder; an earlier result there is replaced.
    config : FilterConfig
    n_processes : int
        Processes that look for phrases; the result is the same for any number.
    chunk_captions : int
        Captions that one of them is given at a time; the result is the same for any number.
    steps : callable, optional
        Called with the name of each step as it begins; what it returns is told the progress.

    Returns
    -------
    dict
        What stands in ``summary.json``.

    Raises
    ------
    InputError
        If a file, a column, the finder or the place cannot be used, no phrase is frequent enough, or records
        have no image.
    """
    check_replaceable(out, marks=MARKS)
    if config.image_names is not None:
        _check_pattern(config.image_names)
        if not config.records:
            raise InputError("got image names without --records, which alone needs them", field="image-names")
    elif config.records:
        columns = replace(config.scan.columns, need_image=True)
        config = replace(config, scan=replace(config.scan, columns=columns))
    parts, inputs = out.with_name(f"{out.name}.parts"), _inputs(paths, config)
    made = _made(out, inputs)
    if made is not None:
        # Whoever made it may have been killed before its scratch files were removed.
        remove_parts(parts)
        clear_drafts(out)
        return made
    scan = scan_captions(
        paths,
        config.scan,
        parts=parts,
        n_processes=n_processes,
        chunk_captions=chunk_captions,
        progress=steps("find phrases"),
    )
    index = scan.builder.build(
        min_count=config.min_count, ties=config.ties, duplicates=config.duplicates, seed=config.walk.seed
    )
    if not index.phrases:
        raise InputError(
            f"none of {index.n_found} phrases stands in {config.min_count} captions; lower --min-count",
            path=paths[0],
        )
    pool = walk(index, config.walk, progress=steps("walk"))
    summary = {"inputs": inputs, **_summary(paths, config, scan, index, pool)}
    with whole_folder(out) as draft:
        _write_pairs(draft, paths, config, index, pool, steps("write pairs"))
        _write_concepts(draft / CONCEPTS_FILE, index, pool)
        draw_coverage(
            measure_coverage(index.counts, pool.counts),
            draft / COVERAGE_FILE,
            n_before=scan.n_captions,
            n_after=len(pool.rows),
            n_phrases=len(index.phrases),
            cap=config.walk.max_per_phrase,
        )
        (draft / SUMMARY_FILE).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    remove_parts(parts)
    return summary


def _inputs(paths: Sequence[Path], config: FilterConfig) -> str:
    """Return a hash over all that the result depends on, the captions included."""
    told = {
        "files": [(path.name, _file_hash(path)) for path in paths if path.is_file()],
        "config": asdict(config),
        "finder": finder_version(config.scan.finder),
        "rules": RULES_VERSION,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _made(out: Path, inputs: str) -> dict[str, Any] | None:
    """Return the summary of a result of the same inputs, None where there is none."""
    if not (out / SUMMARY_FILE).is_file():
        return None
    summary = read_json_object(out / SUMMARY_FILE)
    return summary if summary.get("inputs") == inputs else None


def _summary(
    paths: Sequence[Path], config: FilterConfig, scan: Scan, index: PhraseIndex, pool: Pool
) -> dict[str, Any]:
    coverage = measure_coverage(index.counts, pool.counts)
    n_kept = len(pool.rows)
    return {
        "files": [path.name for path in paths],
        "finder": finder_version(config.scan.finder),
        "settings": asdict(config),
        "n_captions": scan.n_captions,
        "n_kept": n_kept,
        "kept_frac": n_kept / scan.n_captions,
        "n_phrases_found": index.n_found,
        "n_phrases_frequent": len(index.phrases),
        "n_phrases_by_rare_count": {str(count): n for count, n in index.spectrum.items()},
        "n_captions_without_phrase": index.n_without,
        "n_captions_without_frequent_phrase": int((np.diff(index.phrase_starts) == 0).sum()),
        "n_duplicates_dropped": index.n_duplicates,
        "n_bad_records": len(scan.bad_records),
        "bad_records": scan.bad_records[:_FAULTS_TOLD],
        "phrases_with_at_least": {
            str(n): {"before": before, "after": after} for n, (before, after) in coverage.at_least.items()
        },
    }


def _write_pairs(
    folder: Path,
    paths: Sequence[Path],
    config: FilterConfig,
    index: PhraseIndex,
    pool: Pool,
    progress: Callable[[int, int], None],
) -> None:
    """Read the files a second time, and write the captions that were kept, and records of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    schema = pa.schema(
        {
            **{"file": text, "row": pa.int64(), "id": text, "image": text, "url": text, "caption": text},
            **{"added_for": text, "phrases": pa.list_(text)},
        }
    )
    at = n_records = 0
    with pq.ParquetWriter(folder / PAIRS_FILE, schema) as pairs:
        chat = (folder / RECORDS_FILE).open("w", encoding="utf-8") if config.records else None
        for chunk, (done, total) in all_chunks(paths, config.scan, []):
            if at + len(chunk.captions) > index.n_captions:
                raise InputError("has changed while it was read", path=chunk.path)
            kept = np.flatnonzero(pool.added_for[at : at + len(chunk.captions)] >= 0)
            rows: list[dict[str, Any]] = []
            for i in kept.tolist():
                held = index.phrase_ids[index.phrase_starts[at + i] : index.phrase_starts[at + i + 1]]
                rows.append(
                    {
                        "file": chunk.path.name,
                        "row": chunk.rows[i],
                        "id": chunk.ids[i],
                        "image": chunk.images[i],
                        "url": chunk.urls[i],
                        "caption": chunk.captions[i],
                        "added_for": index.phrases[pool.added_for[at + i]],
                        "phrases": [index.phrases[phrase] for phrase in held],
                    }
                )
            if chat is not None:
                for row, i in zip(rows, kept.tolist(), strict=True):
                    record = expand(
                        row["caption"],
                        record_id=_record_id(row),
                        image=_image(row, config.image_names),
                        caption_key=index.caption_keys[at + i],
                        seed=config.walk.seed,
                    )
                    chat.write(",\n" if n_records else "[\n")
                    chat.write(json.dumps(record, ensure_ascii=False))
                    n_records += 1
            if rows:
                pairs.write_table(pa.Table.from_pylist(rows, schema=schema))
            at += len(chunk.captions)
            progress(done, total)
        if chat is not None:
            chat.write("\n]\n")
            chat.close()
    if at != index.n_captions:
        raise InputError("has changed while it was read", path=paths[-1])


def _record_id(row: dict[str, Any]) -> str:
    return row["id"] if row["id"] is not None else f"{row['row']:09d}"


def _image(row: dict[str, Any], pattern: str | None) -> str:
    if row["image"] is not None:
        return str(row["image"])
    assert pattern is not None, "a record without an image is a bad one"
    return pattern.format(row=row["row"], id=_record_id(row))


def _check_pattern(pattern: str) -> None:
    try:
        same = pattern.format(row=0, id="a") == pattern.format(row=1, id="b")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        same = True
    if same:
        raise InputError(
            f"got {pattern!r}, allowed are {{row}}, such as {{row:09d}}.jpg, and {{id}}", field="image-names"
        )


def _write_concepts(path: Path, index: PhraseIndex, pool: Pool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"phrase": index.phrases, "count_before": index.counts, "count_after": pool.counts}
    pq.write_table(pa.table(columns), path)
