"""The leakage audit: what would make a good number mean nothing.

A leak inside what we split fails the study. Overlap that a given split brings along is reported, and
answered by the second figure without the shared families. Left out: near-duplicate images (families already
join equal ones).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llava_core.data.example import Example
from llava_core.errors import InputError
from llava_core.features.store import FeatureStore
from studies.catalog.protocol import SEEN_SLICE, Protocol

Status = Literal["pass", "fail", "reported"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check of the audit."""

    name: str
    status: Status
    found: int
    """How many questions (or blocks of features), or 0."""
    detail: str = ""


UNKNOWN_SEEN = Check(
    name="questions that LLaVA was trained on",
    status="reported",
    found=0,
    detail="unknown: the checkpoint does not say what it was trained on. If that was this data, "
    "LLaVA's figures and those of methods that read its features are too good",
)


def audit_parts(protocol: Protocol) -> list[Check]:
    """Check the parts of a data set against each other."""
    tested = [example for example in protocol.test if example.slice != SEEN_SLICE]
    seen_on_purpose = len(protocol.test) - len(tested)
    leak: Status = "fail" if protocol.is_ours else "reported"
    fitted = {"train": protocol.train, "val": protocol.val}
    if protocol.train_llm:
        fitted["train_llm"] = protocol.train_llm
    checks = []
    for name, examples in fitted.items():
        shared = {example.group for example in examples}
        found = [example for example in tested if example.group in shared]
        checks.append(_check(f"test families in {name}", found, leak))
        twins = {_content(example) for example in examples}
        found = [example for example in tested if _content(example) in twins]
        checks.append(_check(f"test questions repeated in {name}", found, leak))
    shared = {example.group for example in protocol.train}
    found = [example for example in protocol.val if example.group in shared]
    checks.append(_check("val families in train", found, leak))
    twins = {_content(example) for example in protocol.train}
    found = [example for example in protocol.val if _content(example) in twins]
    checks.append(_check("val questions repeated in train", found, leak))
    checks.append(_check("equal questions in different families", _torn(protocol), "fail"))
    if seen_on_purpose:
        checks.append(
            Check(
                name=f"slice {SEEN_SLICE}",
                status="reported",
                found=seen_on_purpose,
                detail="shares facts with training on purpose; reported apart and in no other figure",
            )
        )
    return checks


def audit_seen(protocol: Protocol, seen_ids: Iterable[str]) -> list[Check]:
    """Check the parts against the questions that the LLM behind the features was trained on."""
    seen = set(seen_ids)
    parts = {"train": protocol.train, "val": protocol.val, "test": protocol.test}
    return [
        _check(
            f"{name} questions that LLaVA was trained on",
            [example for example in examples if example.id in seen],
            "fail",
        )
        for name, examples in parts.items()
    ]


def audit_store(protocol: Protocol, store: FeatureStore) -> list[Check]:
    """Check the parts against what the LLM was trained on, as far as the store knows; tell what it lacks."""
    checks: list[Check] = []
    if store.manifest.get("knows_seen_in_training", True):
        checks += audit_seen(protocol, store.rows["example_id"][store.rows["seen_in_training"]])
    else:
        checks.append(UNKNOWN_SEEN)
    return checks + audit_blocks(store)


def audit_blocks(store: FeatureStore) -> list[Check]:
    """Tell the blocks of features that a store lacks, by reason."""
    reasons: dict[str, list[str]] = {}
    for block, reason in store.manifest.get("left_out", {}).items():
        reasons.setdefault(reason, []).append(block)
    return [
        Check(
            name="blocks of features that are missing",
            status="reported",
            found=len(blocks),
            detail=f"{', '.join(blocks)}: {reason}",
        )
        for reason, blocks in reasons.items()
    ]


def audit_folds(fold: ArrayLike, groups: ArrayLike) -> Check:
    """Check that no family lies in two folds."""
    pairs = np.unique(np.stack([np.asarray(groups), np.asarray(fold)]), axis=1)
    _, counts = np.unique(pairs[0], return_counts=True)
    found = int((counts > 1).sum())
    return Check(name="families across folds", status="fail" if found else "pass", found=found)


def noise_labels(y: ArrayLike, questions: ArrayLike, *, seed: int) -> NDArray[np.int8]:
    """Return labels with the right option of each question drawn at random: none may beat chance on them."""
    truth, question = np.asarray(y), np.asarray(questions)
    draw = np.random.default_rng(seed).random(len(truth))
    order = np.lexsort((draw, question))
    first = order[np.r_[True, np.diff(question[order]) != 0]]
    noise = np.zeros(len(truth), dtype=np.int8)
    noise[first] = 1
    return noise


def enforce(checks: Sequence[Check], *, allow_leak: bool) -> None:
    """Stop the study on a failed check.

    Raises
    ------
    InputError
        Naming the failed checks, unless they are allowed.
    """
    failed = [f"{check.name}: {check.found} ({check.detail})" for check in checks if check.status == "fail"]
    if failed and not allow_leak:
        raise InputError(f"the leakage audit failed: {'; '.join(failed)}; --allow-leak goes on all the same")


def as_plain(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return the checks as plain values for the summary."""
    return [asdict(check) for check in checks]


def _check(name: str, found: Sequence[Example], leak: Status) -> Check:
    if not found:
        return Check(name=name, status="pass", found=0)
    return Check(name=name, status=leak, found=len(found), detail=f"first {found[0].id}")


def _torn(protocol: Protocol) -> list[Example]:
    """Return questions that, part by part, stand in several families: folds by family would part them."""
    torn = []
    for part in (protocol.train, protocol.val, protocol.test):
        home: dict[tuple[object, ...], str] = {}
        torn += [
            example for example in part if home.setdefault(_content(example), example.group) != example.group
        ]
    return torn


def _content(example: Example) -> tuple[object, ...]:
    return (
        example.question.strip().lower(),
        tuple(sorted(example.options)),
        str(example.image),
        example.hint,
    )
