"""Ten commands started at once on two cores: whether they end, what they come to, what memory they take.

    python benchmarks/load.py FOLDER [--out docs/results/load.json]

Six studies and four commands of `llava`, on one data set, feature store and checkpoint, with one cache and
one folder for temporary files. Each is run alone first, then all at once, in folders of their own. Together
they have to end with exit code 0 and the results of the run alone (`studies verify RUN OTHER`;
digests of what `llava` writes), runs have to be whole (`studies verify RUN`), and nothing may be left that
nobody owns: drafts in the cache, temporary files, shared memory, processes. Memory is what a command and its
children hold resident together, sampled, against the most that it had announced. Proportional to the sharers
of each page and added up over all commands, it says what the machine has to have.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.faults import jobs, results  # noqa: E402 - the tests are found from the root of the checkout only

N_CORES = 2
PARTS = {"train_ensemble": ("train", 120), "val": ("validation", 40), "test": ("test", 60)}
"""Part of the bundled data, its name in the parquet files, and how many of its questions."""
SAMPLE_EVERY_S = 0.5
ANNOUNCED = re.compile(r"needs (?:at most )?([\d.]+) (MB|GB)")
Results = Callable[[Path], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One of the ten."""

    name: str
    words: list[str]
    """Arguments of the interpreter; it writes ``out`` in the folder that it is started in."""
    results: Results | None = None
    """Digests of what it writes; None for a study, which `studies verify` compares."""


@dataclass(kw_only=True, slots=True)
class Run:
    """A command at work, and what was measured of it."""

    command: Command
    folder: Path
    process: subprocess.Popen[bytes]
    begun: float = field(default_factory=time.perf_counter)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    exit_code: int | None = None
    peak_bytes: int = 0
    """Most that it and its children held resident together."""

    def sample(self) -> int:
        """Note what the run holds now, and return it with shared pages parted among their sharers."""
        resident = proportional = 0
        for process in _family(self.process.pid):
            with suppress(psutil.Error):
                resident += process.memory_info().rss
            with suppress(OSError):
                told = re.search(
                    r"^Pss:\s+(\d+)", Path(f"/proc/{process.pid}/smaps_rollup").read_text(), re.M
                )
                proportional += 1024 * int(told[1]) if told else 0
        self.peak_bytes = max(self.peak_bytes, resident)
        return proportional

    def reap(self) -> bool:
        """Whether the run has ended; its times are noted then."""
        if self.exit_code is None:
            pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
                self.process.returncode = self.exit_code
                self.wall_s = time.perf_counter() - self.begun
                self.cpu_s = used.ru_utime + used.ru_stime
        return self.exit_code is not None

    @property
    def announced_bytes(self) -> float:
        """The most that it said it would hold."""
        told = ANNOUNCED.findall((self.folder / "log").read_text(errors="replace"))
        return max((float(number) * (1e9 if unit == "GB" else 1e6) for number, unit in told), default=0.0)


def commands(folder: Path, made: jobs.Material) -> list[Command]:
    """Return the ten, which share all that they read."""
    data, store = write_parquet(folder / "data"), folder / "store"
    if not store.exists():
        words = jobs.llava("extract", "--data", data, "--checkpoint", made.finetuned, "--out", store)
        subprocess.run([sys.executable, *words], env=_environment(folder), check=True, capture_output=True)
    quick, stored = ("--preset", "quick", "--out", "out"), ("--data", data, "--features", store)
    no_ablation = ("--set", "ablation=false")
    ensembles = [
        Command(
            name=f"ensemble_vs_llm, seed {seed}",
            words=jobs.studies("run", "ensemble_vs_llm", *stored, *quick, *no_ablation, "--seed", seed),
        )
        for seed in range(4)
    ]
    return [
        *ensembles,
        Command(
            name="ensemble_vs_llm, LLaVA trained in it",
            words=jobs.studies("run", "ensemble_vs_llm", "--data", made.data, *quick, *no_ablation),
        ),
        Command(
            name="embedding_probe, two processes",
            words=jobs.studies(
                "run", "embedding_probe", *stored, *quick, "--set", "probes=linear,forest", "--set", "jobs=2"
            ),
        ),
        Command(name="llava align", words=jobs.align(made), results=results.trained),
        Command(name="llava finetune", words=jobs.finetune(made), results=results.trained),
        Command(
            name="llava extract",
            words=jobs.llava("extract", "--data", data, "--checkpoint", made.finetuned, "--out", "out"),
            results=results.extracted,
        ),
        Command(
            name="llava answer",
            words=jobs.llava(
                "answer", "--data", data, "--part", "test", "--checkpoint", made.finetuned, "--out", "out"
            ),
            results=lambda place: results.files_of(place, "out"),
        ),
    ]


def write_parquet(folder: Path) -> Path:
    """Write bundled questions as ScienceQA's parquet files, whose images every reader puts into the cache."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    from llava_core.data.mini.parts import generate
    from llava_core.data.mini.write import record

    folder.mkdir(exist_ok=True)
    for part, (name, n) in PARTS.items():
        rows = []
        for item in islice(generate(part), n):
            image = None
            if item.image is not None:
                drawn = io.BytesIO()
                item.image.save(drawn, "png")
                image = {"bytes": drawn.getvalue()}
            rows.append({**record(item), "image": image})
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}-00000-of-00001.parquet")
    return folder


def start(command: Command, folder: Path, shared: Path) -> Run:
    """Start a command in a new folder."""
    folder.mkdir(parents=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command.words], cwd=folder, env=_environment(shared), stdout=log, stderr=log
        )
    return Run(command=command, folder=folder, process=process)


def watch(runs: Sequence[Run]) -> int:
    """Wait for runs, and return the most that they held together."""
    most = 0
    while not all([run.reap() for run in runs]):
        most = max(most, sum(run.sample() for run in runs if run.exit_code is None))
        time.sleep(SAMPLE_EVERY_S)
    return most


def same_results(run: Run, alone: Run) -> bool:
    """Whether both came to the same, and each study is whole."""
    if run.command.results is not None:
        return run.command.results(run.folder) == run.command.results(alone.folder)
    pair = [str(each.folder / "out") for each in (run, alone)]
    return all(_verify(*arguments) == 0 for arguments in (pair, pair[:1], pair[1:]))


def left_behind(shared: Path, runs: Sequence[Run]) -> list[str]:
    """Return what nobody owns any more: drafts and torn images, temporary files, shared memory, processes."""
    images = [file for file in (shared / "cache").rglob("*") if file.is_file()]
    assert images, "the runs did not use the cache"
    left = [
        f"cache: {file.name}"
        for file in images
        if hashlib.sha256(file.read_bytes()).hexdigest() != file.name.partition(".")[0]
    ]
    # torch makes an empty folder for compiled kernels when it trains, which stays for the next process.
    left += [f"temporary: {file.name}" for file in (shared / "tmp").rglob("*") if file.is_file()]
    pids = {str(run.process.pid) for run in runs}
    left += [
        f"shared memory: {file.name}"
        for file in Path("/dev/shm").iterdir()
        if pids & set(re.split("[-_]", file.name))
    ]
    mark = f"LOAD_SHARED={shared}".encode()
    return left + [
        f"process: {process.pid}"
        for process in psutil.process_iter()
        if process.pid != os.getpid() and mark in _environment_of(process.pid)
    ]


def measure(folder: Path) -> dict[str, Any]:
    """Run all commands alone, then together, and return what is to be told."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:N_CORES])
    for name in ("cache", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with jobs.material(folder / "material") as made:
        ten = commands(folder, made)
        shutil.rmtree(folder / "cache")
        alone = []
        for number, command in enumerate(ten):
            alone.append(start(command, folder / "alone" / str(number), folder))
            watch(alone[-1:])
            print(
                f"alone: {command.name}: {alone[-1].wall_s:.0f} s, exit code {alone[-1].exit_code}",
                flush=True,
            )
        shutil.rmtree(folder / "cache")
        begun = time.perf_counter()
        together = [
            start(command, folder / "together" / str(number), folder) for number, command in enumerate(ten)
        ]
        most = watch(together)
        wall_s = time.perf_counter() - begun
    rows = [
        {
            "run": run.command.name,
            "exit_code": run.exit_code,
            "alone_wall_s": before.wall_s,
            "alone_cpu_s": before.cpu_s,
            "wall_s": run.wall_s,
            "cpu_s": run.cpu_s,
            "announced_bytes": run.announced_bytes,
            "alone_peak_bytes": before.peak_bytes,
            "peak_bytes": run.peak_bytes,
            "equal": run.exit_code == before.exit_code == 0 and same_results(run, before),
        }
        for run, before in zip(together, alone, strict=True)
    ]
    return {
        "rows": rows,
        "wall_s": wall_s,
        "alone_wall_s": sum(run.wall_s for run in alone),
        "most_proportional_bytes": most,
        "left_behind": left_behind(folder, [*alone, *together]),
        "cores": N_CORES,
        "python": sys.version.split()[0],
    }


def table(told: Mapping[str, Any]) -> str:
    """Return what was measured as Markdown."""
    lines = [
        "| run | alone, CPU-s | together, CPU-s | together, s | announced, MB | peak, MB | equal |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in told["rows"]:
        peak = max(row["peak_bytes"], row["alone_peak_bytes"])
        over = " (more)" if peak > row["announced_bytes"] else ""
        equal = "yes" if row["equal"] else f"NO, exit code {row['exit_code']}"
        lines.append(
            f"| {row['run']} | {row['alone_cpu_s']:.0f} | {row['cpu_s']:.0f} | {row['wall_s']:.0f} "
            f"| {row['announced_bytes'] / 1e6:.0f} | {peak / 1e6:.0f}{over} | {equal} |"
        )
    announced, most = sum(row["announced_bytes"] for row in told["rows"]), told["most_proportional_bytes"]
    lines.append(
        f"\nTogether {told['wall_s']:.0f} s, one after another {told['alone_wall_s']:.0f} s. All held "
        f"{most / 1e9:.1f} GB at once at most, of {announced / 1e9:.1f} GB announced. "
        f"Left behind: {', '.join(told['left_behind']) or 'nothing'}."
    )
    return "\n".join(lines)


def _environment(shared: Path) -> dict[str, str]:
    """Return the environment of a command: as many threads as it takes by itself, and what all share."""
    own = jobs.environment(
        XDG_CACHE_HOME=str(shared / "cache"), TMPDIR=str(shared / "tmp"), LOAD_SHARED=str(shared)
    )
    del own["OMP_NUM_THREADS"]
    return own


def _environment_of(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        own = psutil.Process(pid)
        return [own, *own.children(recursive=True)]
    return []


def _verify(*arguments: str) -> int:
    words = [sys.executable, *jobs.studies("verify", *arguments)]
    return subprocess.run(words, env=jobs.environment(), capture_output=True, check=False).returncode


def main() -> None:
    """Measure, print the table, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="new folder for all runs")
    parser.add_argument("--out", type=Path, help="JSON file for what was measured")
    given = parser.parse_args()
    told = measure(given.folder.resolve())
    print(table(told))
    if given.out is not None:
        given.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
