"""What a job under fault has come to in its folder: results, and units of work that are finished.

Results are digests by name, times aside. Finished units are told by name, each with what changes if the unit
is done again.
"""

import csv
import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.catalog.same_results import ASIDE

TIMES = ("seconds", "cpu_seconds")
SERVER = re.compile(rb"127\.0\.0\.1:\d+")
"""Address of a server of the tests."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_of(folder: Path, *patterns: str, but: Sequence[str] = ()) -> dict[str, str]:
    """Return the digest of each file that matches."""
    found = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    return {
        str(file.relative_to(folder)): digest(file.read_bytes()) for file in found if file.name not in but
    }


def plain(value: Any, aside: frozenset[str] | tuple[str, ...]) -> Any:
    """Return plain values without some fields, at whatever depth."""
    if isinstance(value, Mapping):
        return {key: plain(each, aside) for key, each in value.items() if key not in aside}
    return [plain(each, aside) for each in value] if isinstance(value, list) else value


def json_digest(file: Path, aside: frozenset[str] | tuple[str, ...]) -> str:
    return digest(json.dumps(plain(json.loads(file.read_text()), aside), sort_keys=True).encode())


def table_digest(file: Path, aside: tuple[str, ...]) -> str:
    with file.open(newline="") as opened:
        return digest(json.dumps(plain(list(csv.DictReader(opened)), aside)).encode())


def generated(folder: Path) -> dict[str, str]:
    """Return what was generated, the server's address aside: each process of a test run has its own.

    Replies go by their texts, as their keys are made from the address too.
    """
    out = folder / "out"
    with sqlite3.connect(out / "replies.sqlite") as base:
        texts = Counter(digest(text.encode()) for (text,) in base.execute("SELECT text FROM replies"))
    base.close()
    files = {
        file.name: digest(SERVER.sub(b"server", file.read_bytes()))
        for file in out.iterdir()
        if file.name != "replies.sqlite"
    }
    return files | {f"reply {text}": str(n) for text, n in texts.items()}


def drawn(folder: Path) -> dict[str, str]:
    return files_of(folder / "out", "**/*")


def filtered(folder: Path) -> dict[str, str]:
    return files_of(folder / "out", "*")


def trained(folder: Path) -> dict[str, str]:
    out = folder / "out"
    training = json_digest(out / "training.json", TIMES)
    return files_of(out, "*", but=["training.json", "manifest.json"]) | {"training.json": training}


def converted(folder: Path) -> dict[str, str]:
    return files_of(folder / "out", "*")


def pretrained(folder: Path) -> dict[str, str]:
    """Return what was trained; the card has the hash of a file that tells seconds."""
    return {name: mark for name, mark in trained(folder).items() if name != "card.json"}


def extracted(folder: Path) -> dict[str, str]:
    return files_of(folder / "out", "**/*")


def answered(folder: Path) -> dict[str, str]:
    return files_of(folder / "out", "*")


def studied(folder: Path) -> dict[str, str]:
    out = folder / "out"
    found = files_of(out, "predictions.parquet", "questions.parquet", "oof/*.npy", "cells/*.npz")
    return found | {"summary.json": json_digest(out / "summary.json", ASIDE)}


def ablated(folder: Path) -> dict[str, str]:
    """Return the results of the study, with the weights of all stages and what was drawn for them."""
    out = folder / "out"
    found = files_of(out, "checkpoints/*/*/*/*.safetensors", "variants/**/*.*", "data/**/*.*")
    tables = {file.name: table_digest(file, ("training_s",)) for file in out.glob("*.csv")}
    return found | tables | studied(folder)


def nothing(folder: Path) -> dict[str, str]:
    """Return no unit: the whole command is one."""
    return {}


def marks_of(folder: Path, *patterns: str) -> dict[str, str]:
    """Return, for each file that matches, what changes when it is written again."""
    found = {}
    for pattern in patterns:
        for file in folder.glob(pattern):
            status = file.stat()
            found[str(file.relative_to(folder))] = f"{status.st_ino} {status.st_mtime_ns}"
    return found


def replies(folder: Path) -> dict[str, str]:
    """Return the replies that are kept, each with its row, which is another if it was asked for again."""
    file = folder / "out" / "replies.sqlite"
    if not file.is_file():
        return {}
    with sqlite3.connect(file) as base:
        try:
            rows = base.execute("SELECT key, rowid FROM replies").fetchall()
        except sqlite3.OperationalError:  # the run was killed before it made the table
            rows = []
    base.close()
    return {key: str(row) for key, row in rows}


def chunks(folder: Path) -> dict[str, str]:
    return marks_of(folder, "out.parts/*/chunk-*", "out/manifest.json", "out/summary.json")


def states(folder: Path) -> dict[str, str]:
    found = marks_of(folder, "out/manifest.json", "vision_features/*/features-*")
    of_states = marks_of(folder, "out.training/*/step-*/state.json")
    return found | {name.removesuffix("/state.json"): mark for name, mark in of_states.items()}


def answers(folder: Path) -> dict[str, str]:
    """Return the answers that are written; one that was torn off is none."""
    file = folder / "out" / "answers.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.is_file() else []
    whole = [line for line in lines if line.endswith("\n")]
    return {f"answer {json.loads(line)['id']}": digest(line.encode()) for line in whole}


def steps(folder: Path) -> dict[str, str]:
    """Return what a study has done: steps, folds of estimators, and trials."""
    out = folder / "out"
    found = marks_of(folder, "out/oof/folds/[!.]*.npz")
    for marker in sorted((out / "steps").glob("[!.]*.json")):
        told = json.loads(marker.read_text())
        if told["state"] == "done":
            found[f"step {told['name']}"] = marks_of(folder, str(marker.relative_to(folder))).popitem()[1]
    for journal in sorted((out / "optuna").glob("*.journal")):
        found |= {f"trial {number} of {journal.stem}": ended for number, ended in trials(journal).items()}
    return found


def parts_of_ablation(folder: Path) -> dict[str, str]:
    """Return the steps of the study, the checkpoints of its stages, and the states that these go on from."""
    stages = "out/checkpoints/*/*"
    checkpoints = marks_of(folder, f"{stages}/[!.]*/manifest.json")
    of_states = marks_of(folder, f"{stages}/*.training/*/step-*/state.json")
    return steps(folder) | {
        name.removesuffix("/manifest.json").removesuffix("/state.json"): mark
        for name, mark in (checkpoints | of_states).items()
    }


def trials(journal: Path) -> dict[int, str]:
    """Return when each trial of a journal ended; a line that was torn off at the end is no line."""
    ended = {}
    for line in journal.read_text().splitlines(keepends=True):
        told = json.loads(line) if line.endswith("\n") else {}
        if told.get("datetime_complete"):
            ended[told["trial_id"]] = told["datetime_complete"]
    return ended
