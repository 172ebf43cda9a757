"""Time and memory of members and of their stack against rows: 10 thousand, 100 thousand, a million.

    python benchmarks/scale.py run FOLDER [--rows 10000 100000 1000000] [--method ...] [--threads 2]
    python benchmarks/scale.py table FOLDER [--figure FILE.svg]

Option rows of four to a question and five questions to a family, 512 float32 features, on disk and
memory-mapped. The right option has the highest of four utilities, which are linear in some features,
products of others, and noise. Each measurement is a process of its own: fit on all rows, predict all of them,
score on 20,000 further rows. Slopes are those of CPU-seconds on log-log axes. Memory is the most that the
process and its children held resident together, memory-mapped pages included, over the size of the matrix. A
measurement is done when its file is there, so that ``run`` goes on where it was stopped.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ensembles.choice import credit, question_log_loss, question_probabilities
from ensembles.registry import MEMBERS
from ensembles.stacking import OptionStacking

N_FEATURES, N_OPTIONS, QUESTIONS_IN_FAMILY = 512, 4, 5
N_TEST = 20_000
ROWS = (10_000, 100_000, 1_000_000)
STACKED = ("xgboost", "lightgbm", "random_forest", "linear")
METHODS = (*STACKED, "neighbours", "stack")
BOUNDED: Mapping[str, Mapping[str, Any]] = {
    "random_forest": {"max_depth": 10, "max_samples": 30_000, "max_features": 0.05},
    "neighbours": {"n_reference": 10_000},
}
"""Parameters beside the defaults: what bounds a forest's trees, and the reference sample of neighbours."""
LARGEST = 2.5
"""Times the matrix that may be resident."""
SLOPE, HOURS = 1.15, 3
CHUNK = 20_000


def make(name: str, n_rows: int, n_threads: int, trees: int | None) -> Any:
    """Return an unfitted method, with so many trees in place of the defaults."""
    if name == "stack":
        members = [(member, make(member, n_rows, n_threads, trees)) for member in STACKED]
        return OptionStacking(members, n_folds=3)
    params = dict(BOUNDED.get(name, {}))
    if trees is not None and "n_estimators" in MEMBERS[name].defaults:
        params["n_estimators"] = trees
    if "max_samples" in params:
        params["max_samples"] = min(params["max_samples"], n_rows // 2)
    return MEMBERS[name].make(params, seed=0, n_jobs=n_threads)


def write_rows(folder: Path, n_rows: int, seed: int) -> Path:
    """Write X.npy and y.npy for so many rows, unless they are there."""
    place = folder / f"rows_{n_rows}_{seed}"
    if (place / "y.npy").exists():
        return place
    place.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99)
    linear, pairs = truth.normal(size=24) / 5, truth.permutation(N_FEATURES)[:16].reshape(8, 2)
    X = np.lib.format.open_memmap(place / "X.npy", mode="w+", dtype=np.float32, shape=(n_rows, N_FEATURES))
    y = np.zeros(n_rows, dtype=np.int8)
    for start in range(0, n_rows, CHUNK):
        size = min(CHUNK, n_rows - start)
        block = rng.standard_normal((size, N_FEATURES), dtype=np.float32)
        block[:, 1:] += 0.5 * block[:, :-1]
        utility = block[:, :24] @ linear + 0.3 * (block[:, pairs[:, 0]] * block[:, pairs[:, 1]]).sum(axis=1)
        utility += rng.gumbel(size=size)
        best = utility.reshape(-1, N_OPTIONS).argmax(axis=1)
        y[start + np.arange(len(best)) * N_OPTIONS + best] = 1
        X[start : start + size] = block
    X.flush()
    np.save(place / "y.npy", y, allow_pickle=False)
    return place


def ids(n_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return question and family of each row."""
    questions = np.arange(n_rows) // N_OPTIONS
    return questions, questions // QUESTIONS_IN_FAMILY


class Watch:
    """Samples what this process and its children hold resident together."""

    def __init__(self) -> None:
        self.most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        own = psutil.Process()
        while not self._ended.wait(0.05):
            held = own.memory_info().rss
            for child in own.children(recursive=True):
                try:
                    held += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.most = max(self.most, held)


def timed(do: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result, wall seconds and CPU-seconds of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = do()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def measure(folder: Path, name: str, n_rows: int, n_threads: int, trees: int | None) -> dict[str, Any]:
    """Fit, predict and score one method in this process."""
    train, test = folder / f"rows_{n_rows}_0", folder / f"rows_{N_TEST}_1"
    X, y = np.load(train / "X.npy", mmap_mode="r"), np.load(train / "y.npy").astype(np.int64)
    questions, groups = ids(n_rows)
    method = make(name, n_rows, n_threads, trees)
    with Watch() as watch, threadpool_limits(n_threads):
        _, fit_s, fit_cpu_s = timed(lambda: method.fit(X, y, questions=questions, groups=groups))
        _, predict_s, predict_cpu_s = timed(lambda: method.predict_proba(X, questions=questions))
    held = np.load(test / "X.npy", mmap_mode="r")
    right, held_ids = np.load(test / "y.npy"), ids(N_TEST)[0]
    share = question_probabilities(method.predict_proba(held, questions=held_ids)[:, 1], held_ids)
    return {
        "method": name,
        "n_rows": n_rows,
        "threads": n_threads,
        "trees": trees,
        "fit_s": fit_s,
        "predict_s": predict_s,
        "cpu_s": fit_cpu_s + predict_cpu_s,
        "peak_over_matrix": watch.most / X.nbytes,
        "peak_bytes": watch.most,
        "accuracy": float(credit(share, held_ids, right).mean()),
        "log_loss": float(question_log_loss(share, held_ids, right).mean()),
    }


def run(folder: Path, rows: Sequence[int], methods: Sequence[str], n_threads: int, trees: int | None) -> None:
    """Measure what is not measured yet, each in its own process, smallest first."""
    write_rows(folder, N_TEST, 1)
    for n_rows in sorted(rows):
        write_rows(folder, n_rows, 0)
        for name in methods:
            out = folder / (
                f"{name}_{n_rows}.json" if trees is None else f"{name}_{n_rows}_trees{trees}.json"
            )
            if out.exists():
                continue
            command = [sys.executable, __file__, "measure", str(folder), name, str(n_rows), str(n_threads)]
            command += [] if trees is None else [str(trees)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name}, {n_rows} rows failed:\n{done.stderr[-2000:]}", flush=True)
                continue
            out.write_text(done.stdout)
            print(done.stdout.strip().replace("\n", " "), flush=True)


def table(folder: Path, figure: Path | None) -> None:
    """Print the table of what is measured, with slopes over the two steps, and draw it."""
    every = [json.loads(file.read_text()) for file in sorted(folder.glob("*_*.json"))]
    found = [each for each in every if each.get("trees") is None]
    print(
        "| method | rows | fit, s | predict, s | CPU, s | peak over matrix | accuracy, % | log-loss | slope |"
        "\n|---|---|---|---|---|---|---|---|---|"
    )
    steepest = {}
    for name in METHODS:
        own = sorted((each for each in found if each["method"] == name), key=lambda each: each["n_rows"])
        if len(own) > 1:
            steepest[name] = max(_slope(*pair) for pair in pairwise(own))
        before: Mapping[str, Any] | None = None
        for each in own:
            slope = "-" if before is None else f"{_slope(before, each):.2f}"
            print(
                f"| {name} | {each['n_rows']:,} | {each['fit_s']:.1f} | {each['predict_s']:.1f} "
                f"| {each['cpu_s']:.0f} | {each['peak_over_matrix']:.2f} | {100 * each['accuracy']:.1f} "
                f"| {each['log_loss']:.4f} | {slope} |"
            )
            before = each
    largest = [each for each in found if each["n_rows"] == max(ROWS)]
    if largest:
        most = max(each["peak_over_matrix"] for each in largest)
        hours = sum(each["fit_s"] + each["predict_s"] for each in largest) / 3600
        print(
            f"\nAt {max(ROWS):,} rows: at most {most:.2f} times the matrix ({LARGEST} allowed); all methods "
            f"together {hours:.2f} h of wall time ({HOURS} allowed)."
        )
    for each in every:
        if each.get("trees") is not None:
            print(
                f"With {each['trees']} trees a member, {each['method']}, {each['n_rows']:,} rows: "
                f"{each['peak_over_matrix']:.2f} times the matrix."
            )
    steep = [f"{name} {slope:.2f}" for name, slope in steepest.items() if slope > SLOPE]
    print(f"Slopes above {SLOPE}: {', '.join(steep) or 'none'}.")
    if figure is not None:
        draw(found, figure)


def draw(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw CPU-seconds of fit and prediction against rows, a line per method."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(6.4, 4.4), layout="constrained")
    panel = drawn.subplots()
    for name in METHODS:
        own = sorted((each for each in found if each["method"] == name), key=lambda each: each["n_rows"])
        panel.plot([each["n_rows"] for each in own], [each["cpu_s"] for each in own], marker="o", label=name)
    low = min(each["cpu_s"] for each in found)
    panel.plot(ROWS, [low * n / min(ROWS) for n in ROWS], color="grey", linestyle=":", label="slope 1")
    panel.set(
        xscale="log", yscale="log", xlabel="option rows, 512 features", ylabel="fit + predict, CPU-seconds"
    )
    panel.legend(frameon=False)
    drawn.savefig(path, format="svg", metadata={"Date": None})


def _slope(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    return float(np.log(after["cpu_s"] / before["cpu_s"]) / np.log(after["n_rows"] / before["n_rows"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, or print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("run", "table", "measure"):
        own = verbs.add_parser(verb)
        own.add_argument("folder", type=Path)
        if verb == "run":
            own.add_argument("--rows", nargs="+", type=int, default=ROWS)
            own.add_argument("--method", nargs="+", choices=METHODS, default=METHODS)
            own.add_argument("--threads", type=int, default=2)
            own.add_argument("--trees", type=int, help="trees a member, where memory alone is asked for")
        elif verb == "table":
            own.add_argument("--figure", type=Path)
        else:
            own.add_argument("method")
            own.add_argument("rows", type=int)
            own.add_argument("threads", type=int)
            own.add_argument("trees", type=int, nargs="?")
    given = parser.parse_args(arguments)
    if given.verb == "run":
        run(given.folder, given.rows, given.method, given.threads, given.trees)
    elif given.verb == "table":
        table(given.folder, given.figure)
    else:
        print(
            json.dumps(measure(given.folder, given.method, given.rows, given.threads, given.trees), indent=1)
        )


if __name__ == "__main__":
    main()
