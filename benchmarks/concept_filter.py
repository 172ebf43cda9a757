"""Time and memory of the concept filter, beside the same algorithm in plain dictionaries and lists.

    python benchmarks/concept_filter.py FOLDER [--captions 3300000] [--ours-only]

Captions are generated: one to four noun phrases each, of an adjective or none and one or two nouns, drawn
by a Zipf-Mandelbrot law with exponents 1.2 and 1.25, so that few phrases are in very many captions and
most are in one. The words are made of syllables; what a finder makes of them does not matter here. Each
side is a process of its own and goes from the file to the kept captions on disk. ``ours`` is the whole of
``llava filter`` with two processes that look for phrases; ``plain`` is one loop per step, with the same
phrases and the same draws, and writes one text file. Memory is the most that a process and its children
held resident together, sampled ten times a second; pages that processes share are counted in each. Results
go to FOLDER/concept_filter.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from llava_core.concepts.chunk_phrases import text_hashes
from llava_core.concepts.filter import PAIRS_FILE, SUMMARY_FILE, FilterConfig, filter_captions
from llava_core.concepts.phrases import PhraseForm, phrase_text
from llava_core.concepts.rules import find_noun_phrases

N_ADJECTIVES, N_NOUNS = 2_000, 30_000
ADJECTIVE_FRAC, COMPOUND_FRAC = 0.2, 0.08
BLOCK = 100_000
PATTERNS = (
    "{} in the {}",
    "a {} with {} on the {}",
    "{} and {} near a {}",
    "the {} of {}",
    "{}",
    "a {} standing in front of the {} with a {} and {}",
    "{} holding a {} during the {}",
    "the {} at the {} , {} and {} under a {}",
)
MIN_COUNT, CAP, SEED = 3, 100, 0


def made_words(n_words: int, *, salt: int) -> list[str]:
    """Return different words that end like English nouns without an ending."""
    ends = "mnrtk"
    syllables = [onset + vowel for onset in "bdfgklmnprtv" for vowel in "aeiou"]
    words = []
    for number in range(n_words):
        left, text = number * 7 + salt, ""
        while True:
            left, which = divmod(left, len(syllables))
            text += syllables[which]
            if not left:
                break
        words.append(text + ends[number % len(ends)])
    return words


def zipf(
    rng: np.random.Generator, n_values: int, n_drawn: int, *, shift: float, exponent: float
) -> NDArray[np.int64]:
    """Return ranks with a frequency of 1 / (rank + shift) ** exponent."""
    weights = np.cumsum(1 / (np.arange(n_values) + shift) ** exponent)
    return np.searchsorted(weights, rng.random(n_drawn) * weights[-1])


def generate(path: Path, n_captions: int) -> None:
    """Write a file in CC3M's shape."""
    rng = np.random.default_rng(7)
    adjectives, nouns = made_words(N_ADJECTIVES, salt=1), made_words(N_NOUNS, salt=2)
    draft = path.with_suffix(".part")
    with draft.open("w", encoding="utf-8") as file:
        for begin in range(0, n_captions, BLOCK):
            n_block = min(BLOCK, n_captions - begin)
            which = rng.integers(len(PATTERNS), size=n_block)
            n_slots = n_block * 5
            adjective = zipf(rng, N_ADJECTIVES, n_slots, shift=3, exponent=1.2)
            noun, second = (zipf(rng, N_NOUNS, n_slots, shift=10, exponent=1.25) for _ in range(2))
            shape = rng.random(n_slots)
            slots = iter(
                f"{adjectives[a]} {nouns[n]}"
                if s < ADJECTIVE_FRAC
                else f"{nouns[n]} {nouns[m]}"
                if s < ADJECTIVE_FRAC + COMPOUND_FRAC
                else nouns[n]
                for a, n, m, s in zip(adjective, noun, second, shape, strict=True)
            )
            for row, pattern in enumerate(which, start=begin):
                words = [next(slots) for _ in range(PATTERNS[pattern].count("{}"))]
                file.write(f"{PATTERNS[pattern].format(*words)}\thttp://images/{row}.jpg\n")
    draft.replace(path)


def run_ours(captions: Path, out: Path) -> list[int]:
    """Filter with the package; return the kept rows."""
    import pyarrow.parquet as pq

    filter_captions([captions], out, FilterConfig(min_count=MIN_COUNT), n_processes=2)
    rows: list[int] = pq.read_table(out / PAIRS_FILE, columns=["row"]).column("row").to_pylist()
    return rows


def run_plain(captions: Path, out: Path) -> list[int]:
    """Filter as one would write it down: a dictionary of lists, a set, sorted lists."""
    out.mkdir(parents=True, exist_ok=True)
    rows_of: dict[str, list[int]] = {}
    lines: list[str] = []
    keys: list[int] = []
    form = PhraseForm()
    for line in captions.read_text(encoding="utf-8").splitlines():
        caption, url = line.split("\t")
        mine = {phrase_text(words, form) for words in find_noun_phrases(caption)}
        for phrase in mine - {""}:
            rows_of.setdefault(phrase, []).append(len(lines))
        lines.append(line)
        keys.append(int(text_hashes([f"{caption}\0\0\0{url}"])[0]))
    frequent = sorted(
        (len(rows), phrase) for phrase, rows in rows_of.items() if len(rows) >= MIN_COUNT
    )  # rarest first
    pool: set[int] = set()
    for n_rows, phrase in frequent:
        if n_rows <= CAP:
            pool.update(rows_of[phrase])
            continue
        of_phrase = mixed(mixed(SEED) ^ int(text_hashes([phrase])[0]))
        drawn = sorted((mixed(keys[row] ^ of_phrase), row) for row in rows_of[phrase])[:CAP]
        pool.update(row for _, row in drawn)
    kept = sorted(pool)
    with (out / "pairs.tsv").open("w", encoding="utf-8") as file:
        file.writelines(f"{row}\t{lines[row]}\n" for row in kept)
    return kept


def mixed(value: int) -> int:
    """Return the number that `llava_core.concepts.draw.mix` gives."""
    whole = (1 << 64) - 1
    value = (value + 0x9E3779B97F4A7C15) & whole
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & whole
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & whole
    return value ^ (value >> 31)


def measured(folder: Path, side: str) -> dict[str, Any]:
    """Run one side in a process of its own."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, __file__, str(folder), "--side", side])
    watched = psutil.Process(child.pid)
    peak = 0
    cpu_s: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            held = 0
            for process in family(watched):
                try:
                    held += process.memory_info().rss
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                cpu_s[process.pid] = times.user + times.system
            peak = max(peak, held)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = child.wait()
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"{side} ended with {code}")
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": sum(cpu_s.values()),
        "peak_rss_bytes": peak,
    }


def family(process: psutil.Process) -> Iterator[psutil.Process]:
    """Yield a process and all below it."""
    yield process
    try:
        yield from process.children(recursive=True)
    except psutil.Error:
        return


def compare(folder: Path, sides: Sequence[str], n_captions: int) -> Mapping[str, Any]:
    """Measure the sides, check that they kept the same captions, and write the result."""
    found: dict[str, Any] = {
        "captions": n_captions,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
    kept = {}
    for side in sides:
        found[side] = measured(folder, side)
        kept[side] = np.load(folder / f"{side}.npy")
        told = found[side]
        print(
            f"{side}: {told['seconds']:.0f} s, {told['cpu_seconds']:.0f} CPU-s, "
            f"{told['peak_rss_bytes'] / 1e9:.2f} GB at most, {len(kept[side])} captions kept",
            flush=True,
        )
    summary = json.loads((folder / "ours" / SUMMARY_FILE).read_text())
    found |= {name: summary[name] for name in ("n_kept", "n_phrases_found", "n_phrases_frequent")}
    if len(sides) > 1:
        found["equal_pools"] = bool(np.array_equal(kept["ours"], kept["plain"]))
        found["plain_over_ours"] = {
            name: found["plain"][name] / found["ours"][name]
            for name in ("seconds", "cpu_seconds", "peak_rss_bytes")
        }
        ratios = ", ".join(f"{name} {value:.2f}" for name, value in found["plain_over_ours"].items())
        print(f"plain / ours: {ratios}; the same captions: {found['equal_pools']}")
    (folder / "concept_filter.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def main() -> None:
    """Generate captions where there are none yet, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--captions", type=int, default=200_000)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--side", choices=("ours", "plain"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    captions = given.folder / "captions.tsv"
    if given.side:
        run = {"ours": run_ours, "plain": run_plain}[given.side]
        np.save(
            given.folder / f"{given.side}.npy",
            np.array(run(captions, given.folder / given.side)),
            allow_pickle=False,
        )
        return
    generate(captions, given.captions)
    found = compare(given.folder, ("ours",) if given.ours_only else ("ours", "plain"), given.captions)
    if found.get("equal_pools") is False:
        raise SystemExit("the pools differ")


if __name__ == "__main__":
    main()
