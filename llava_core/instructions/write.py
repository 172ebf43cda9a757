"""The output folder of a run: records, what was set aside, summary, page of samples [edge].

Everything here is computed again from the cache of replies whenever a run goes on, and replaces what was
there as a whole; only the cache (``replies.sqlite``) is worth keeping.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from llava_core.backends.asking import Outcome
from llava_core.drafts import whole_file
from llava_core.folders import write_whole
from llava_core.instructions.asking import Wanted
from llava_core.instructions.kinds import KINDS, Kind
from llava_core.instructions.prompts import Prompt
from llava_core.instructions.records import Record, record
from llava_core.instructions.replies import Pair, reason
from llava_core.instructions.scene import Scene, Scenes
from llava_core.instructions.statistics import RecordStatistics

JOINED = "all.json"
SET_ASIDE = "set_aside.jsonl"
CACHE = "replies.sqlite"
SUMMARY = "summary.json"
PAGE = "samples.html"
MARKS = (CACHE, PAGE)
"""Files that tell a folder of ours; ``summary.json`` stands in folders of other commands, too."""
SAMPLES_PER_KIND = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One record and the scene it was written about."""

    kind: str
    scene: Scene
    record: Record


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """One request without a record."""

    kind: str
    scene: Scene
    problem: str
    texts: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class KindResult:
    """What came of one kind so far."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    statistics: RecordStatistics = field(default_factory=RecordStatistics)
    n_without_boxes: int = 0

    def told(self) -> dict[str, Any]:
        """Return it for the summary."""
        return {
            "asked": sum(self.counts.values()) - self.counts["unasked"],
            **{name: self.counts[name] for name in ("read", "malformed", "failed", "unasked")},
            "set_aside_by_reason": dict(self.reasons.most_common()),
            "asked_without_boxes": self.n_without_boxes,
            "statistics": self.statistics.told(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """What came of a run."""

    kinds: Mapping[str, KindResult]
    samples: tuple[Sample, ...]
    set_aside: tuple[SetAside, ...]
    """The first of each kind and reason."""


def write_records(
    out: Path,
    wanted: Iterable[Wanted],
    outcomes: Iterable[Outcome[tuple[Pair, ...]]],
    *,
    scenes: Scenes,
    prompts: Mapping[str, Prompt],
    seed: int,
) -> Results:
    """Write records, one file per kind and one for all, and what was set aside, as outcomes come.

    Parameters
    ----------
    out : Path
        Folder. Files are put in place once all outcomes are there.
    wanted : iterable of Wanted
    outcomes : iterable of Outcome
        One for each of the wanted, in their order.
    scenes : Scenes
    prompts : mapping of str to Prompt
        By kind.
    seed : int

    Returns
    -------
    Results
    """
    results = {name: KindResult() for name in prompts}
    samples: list[Sample] = []
    aside: dict[tuple[str, str], SetAside] = {}
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as open_files:
        lists = {
            name: open_files.enter_context(_json_list(out / record_file(KINDS[name]))) for name in prompts
        }
        joined = open_files.enter_context(_json_list(out / JOINED))
        aside_draft = open_files.enter_context(whole_file(out / SET_ASIDE))
        lines = open_files.enter_context(aside_draft.open("w", encoding="utf-8"))
        for each, outcome in zip(wanted, outcomes, strict=True):
            kind, scene = each.kind, scenes[each.index]
            result = results[kind.name]
            result.counts[outcome.kind] += 1
            if outcome.kind != "unasked":
                result.n_without_boxes += kind.boxes and not scene.instances
            if outcome.value is not None:
                made = record(kind, scene, outcome.value, questions=prompts[kind.name].questions, seed=seed)
                lists[kind.name](made)
                joined(made)
                result.statistics.add(made)
                if result.counts["read"] <= SAMPLES_PER_KIND:
                    samples.append(Sample(kind=kind.name, scene=scene, record=made))
            elif outcome.kind != "unasked":
                problem = outcome.problem or ""
                why = reason(problem) if outcome.kind == "malformed" else "no reply"
                result.reasons[why] += 1
                aside.setdefault(
                    (kind.name, why),
                    SetAside(kind=kind.name, scene=scene, problem=problem, texts=outcome.texts),
                )
                _write_line(lines, each, scene, outcome)
            elif outcome.texts:  # malformed, and the budget did not cover another try
                _write_line(lines, each, scene, outcome)
        (out / SUMMARY).unlink(missing_ok=True)  # an earlier run's, to which the files no longer belong
    for name in KINDS:
        if name not in prompts:  # of an earlier run with other kinds; its replies are in the cache
            (out / record_file(KINDS[name])).unlink(missing_ok=True)
    return Results(kinds=results, samples=tuple(samples), set_aside=tuple(aside.values()))


def write_summary(out: Path, summary: Mapping[str, Any]) -> None:
    """Write ``summary.json``, last of all: where it stands, the rest of the folder belongs to it."""
    write_whole(out / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")


def record_file(kind: Kind) -> str:
    """Return the name of the file with the records of a kind."""
    return f"{kind.name}.json"


@contextmanager
def _json_list(path: Path) -> Iterator[Callable[[Record], None]]:
    """Give what adds a record to a JSON list, which is put in place when all are there."""
    n_records = 0

    def add(made: Record) -> None:
        nonlocal n_records
        file.write("[\n" if n_records == 0 else ",\n")
        file.write(json.dumps(made, ensure_ascii=False))
        n_records += 1

    with whole_file(path) as draft, draft.open("w", encoding="utf-8") as file:
        yield add
        file.write("\n]\n" if n_records else "[]\n")


def _write_line(lines: TextIO, wanted: Wanted, scene: Scene, outcome: Outcome[tuple[Pair, ...]]) -> None:
    told = {
        "id": scene.id,
        "image": scene.image,
        "kind": wanted.kind.name,
        "why": outcome.kind,
        "problem": outcome.problem,
        "texts": list(outcome.texts),
    }
    lines.write(json.dumps(told, ensure_ascii=False) + "\n")
