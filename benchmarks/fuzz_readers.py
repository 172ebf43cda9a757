"""Faulty files, many thousands of them, for every reader of the toolkit: what comes of each.

    python benchmarks/fuzz_readers.py --cases 20000 [--seed 0] [--out docs/results/fuzz_readers.json]
    python benchmarks/fuzz_readers.py --reader "problems.json" --seed 0 --case 117

Each case puts a seeded fault into valid files and calls the public reader (`tests.fuzz`). It ends in a
result, a refusal (one line that names the file), or a defect: any other exception,
more than ten seconds, more
than 2 GiB of memory, a write outside. The cases are shared out over the readers; those that load models have
fewer. They run in child processes, so that a crash of the interpreter or a hang in foreign code is seen as
well, and counted as a defect. The second form runs one case again and tells what it was.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SILENT_S = 120.0
"""A child that tells nothing for so long hangs where no signal reaches it."""
VERSIONS = (
    "pillow",
    "pyarrow",
    "numpy",
    "pandas",
    "skops",
    "safetensors",
    "transformers",
    "tokenizers",
    "torch",
    "optuna",
)
LOADED = (
    "pyarrow.parquet",
    "llava_core.recipes",
    "llava_core.checkpoint.load",
    "studies.catalog.compare",
    "optuna",
)
"""Imported once, before the children are made."""
MOST_TOLD = 40
"""Defects that are written down."""


def measure(n_cases: int, seed: int, only: str | None) -> dict[str, Any]:
    """Run the cases of all readers, or of one, and return the table."""
    from tests.fuzz.readers import READERS

    for module in LOADED:
        importlib.import_module(module)
    chosen = [reader for name, reader in READERS.items() if only in (None, name)]
    each = n_cases / sum(reader.share for reader in chosen)
    started, rows, defects = time.perf_counter(), [], []
    for reader in chosen:
        row, found = measure_one(reader.name, ceil(each * reader.share), seed)
        rows.append(row)
        defects += found
        print(
            f"{row['reader']:32} {row['cases']:6} cases {row['results']:6} results "
            f"{row['refused']:6} refused {row['defects']:4} defects {row['peak_mb']:6} MB",
            flush=True,
        )
        for told in found[:5]:
            print(f"    {told['case']}: {told['fault']}: {told['told']}", flush=True)
    return {
        "cases": sum(row["cases"] for row in rows),
        "results": sum(row["results"] for row in rows),
        "refused": sum(row["refused"] for row in rows),
        "defects": sum(row["defects"] for row in rows),
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
        "readers": rows,
        "told_defects": defects[:MOST_TOLD],
    }


def measure_one(name: str, n_cases: int, seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run the cases of one reader, in a new child where one is lost."""
    counts: Counter[str] = Counter()
    defects: list[dict[str, Any]] = []
    number, peak_mb = 0, 0
    context = multiprocessing.get_context("fork")
    while number < n_cases:
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=work, args=(name, folder, range(number, n_cases), seed, theirs))
        child.start()
        theirs.close()
        try:
            while ours.poll(SILENT_S):
                kind, fault, told, more_mb = ours.recv()
                counts[kind] += 1
                peak_mb = max(peak_mb, more_mb)
                if kind == "defect":
                    defects.append({"reader": name, "case": number, "fault": fault, "told": told})
                number += 1
        except EOFError:
            pass
        lost = child.is_alive() or number < n_cases
        child.kill()
        child.join()
        if lost and number < n_cases:
            counts["defect"] += 1
            told = f"the process was lost (exit code {child.exitcode})"
            defects.append({"reader": name, "case": number, "fault": "", "told": told})
            number += 1
        shutil.rmtree(folder, ignore_errors=True)
    row = {
        "reader": name, "cases": n_cases, "results": counts["result"], "refused": counts["refused"],
        "defects": counts["defect"], "peak_mb": peak_mb,
    }  # fmt: skip
    return row, defects


def work(name: str, folder: Path, numbers: range, seed: int, told: Connection) -> None:
    """Run cases and tell of each, in a child process."""
    from tests.fuzz.cases import Bench
    from tests.fuzz.readers import READERS

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # warnings of Pillow and logs of transformers
    os.environ["XDG_CACHE_HOME"] = str(folder / "bench" / "cache")
    bench = Bench(READERS[name], folder / "bench")
    bench.lay()
    bench.reader.read(bench.case)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in numbers:
        outcome = bench.run(seed, number)
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        told.send((outcome.kind, outcome.fault, outcome.told, more >> 10))
    told.close()


def again(name: str, number: int, seed: int) -> None:
    """Run one case and print what it was."""
    from tests.fuzz.cases import Bench
    from tests.fuzz.readers import READERS

    folder = Path(tempfile.mkdtemp(prefix="fuzz-")) / "bench"
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    outcome = Bench(READERS[name], folder).run(seed, number)
    print(f"{outcome.kind}\n{outcome.fault}\n{outcome.told}\nfiles: {folder / 'case'}")


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader")
    parser.add_argument("--case", type=int)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if given.case is not None:
        again(given.reader, given.case, given.seed)
        return
    found = measure(given.cases, given.seed, given.reader)
    counts = {name: found[name] for name in ("cases", "results", "refused", "defects")}
    print(", ".join(f"{value:,} {name}" for name, value in counts.items()), f"in {found['seconds']:.0f} s")
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    if found["defects"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
