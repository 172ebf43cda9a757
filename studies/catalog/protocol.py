"""Which questions are fitted on, chosen on and scored once: the three protocols of `ensemble_vs_llm`.

bundled
    The data declares a part ``train_llm``. LLaVA learns on it, ensembles on ``train_ensemble``, choices are
    made on ``val``, ``test`` is scored once; the headline is the slice ``main``. Captions are what LLaVA's
    first stage learns from; no other part shows them, since they say what the drawing shows.
official
    Parts ``train`` and ``test``, with or without ``val``. The split is taken as it is, families that it
    shares included; the headline is the image questions of ``test``, or with published answers all
    questions that every file answers.
own
    No parts: families are dealt by seed, three fifths to train, one to val, one to test.

Left out: repeating a protocol over seeds, which is a run per seed.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llava_core.data.example import Dataset, Example, Gap
from llava_core.errors import InputError

MAIN_SLICE = "main"
SEEN_SLICE = "seen_facts"
"""Slice of the bundled test that shares facts with training on purpose."""
PART_NAMES = {"train": ("train_ensemble", "train"), "val": ("val", "validation", "dev"), "test": ("test",)}
"""What sources call the parts; the first that is there counts."""
OWN_PARTS = ("train", "train", "train", "val", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """Parts of a data set and what becomes of them."""

    name: str
    """bundled, official or own."""
    told: str
    """The protocol in one sentence, for the report."""
    evaluated_on: str
    """The headline questions in words."""
    train: tuple[Example, ...]
    val: tuple[Example, ...]
    test: tuple[Example, ...]
    headline: tuple[Example, ...]
    """The questions of ``test`` that the main figures rest on."""
    train_llm: tuple[Example, ...] = ()
    """What LLaVA is trained on, live; empty outside the bundled data."""

    @property
    def captions(self) -> bool:
        """Whether train, val and test show their captions."""
        return self.name != "bundled"

    @property
    def is_ours(self) -> bool:
        """Whether the split is made by us, so that a leak in it is a fault and not a given."""
        return self.name != "official"

    @property
    def used(self) -> tuple[Example, ...]:
        """Questions that features are needed for, in the order of train, val, test."""
        return (*self.train, *self.val, *self.test)


def choose_protocol(
    dataset: Dataset,
    *,
    seed: int,
    limit: int | None = None,
    answered: Collection[str] | None = None,
) -> Protocol:
    """Lay a data set out for the study.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        Deals families where the data has no parts, and draws the questions of a limit.
    limit : int, optional
        Questions per part; drawn, since files are sorted by kind.
    answered : collection of str, optional
        Ids that every answers file covers; only those are tested.

    Raises
    ------
    InputError
        If parts or labels are missing that the study needs.
    """
    parts = _parts(dataset, seed=seed)
    name = "own" if not dataset.splits else "bundled" if "train_llm" in dataset.splits else "official"
    if answered is not None:
        parts["test"] = [example for example in parts["test"] if example.id in answered]
    if limit is not None:
        parts = {part: _drawn(examples, limit, seed=seed) for part, examples in parts.items()}
    for part in ("train", "test"):
        if not parts[part]:
            raise InputError(
                f"got no labelled question of part {part} in {dataset.name}; the study needs some"
            )
    if name == "bundled":
        for part in ("train", "val", "test"):
            parts[part] = [replace(example, caption=None) for example in parts[part]]
    told = _TOLD["official without val" if name == "official" and not parts["val"] else name]
    headline, evaluated_on = _headline(name, parts["test"], with_answers=answered is not None)
    return Protocol(
        name=name,
        told=told + (_NESTED if answered is not None else ""),
        evaluated_on=evaluated_on,
        headline=tuple(headline),
        train=tuple(parts["train"]),
        val=tuple(parts["val"]),
        test=tuple(parts["test"]),
        train_llm=tuple(parts["train_llm"]),
    )


def without_families_of(protocol: Protocol) -> Protocol:
    """Return the protocol with the families of its test questions removed from train and val."""
    held_out = {example.group for example in protocol.test}
    return replace(
        protocol,
        train=tuple(example for example in protocol.train if example.group not in held_out),
        val=tuple(example for example in protocol.val if example.group not in held_out),
    )


def unused(dataset: Dataset, protocol: Protocol) -> list[Gap]:
    """Count what a data set holds and the study does not use: unlabelled questions, and other parts."""
    used = {example.id for example in (*protocol.used, *protocol.train_llm)}
    left = [example for example in dataset.examples if example.id not in used]
    counts = Counter(
        ("label" if example.answer is None else "use in this study", example.split or "all")
        for example in left
    )
    sizes = Counter(example.split or "all" for example in dataset.examples)
    return [
        Gap(what=what, split=split, missing=n, of=sizes[split]) for (what, split), n in sorted(counts.items())
    ]


_TOLD = {
    "bundled": "LLaVA learns on train_llm; ensembles are tuned and fitted on train_ensemble in folds that "
    + "keep families together; choices are made on val; test is scored once.",
    "official": "Tuned on train against val, where stacks also learn how to join their members; fitted on "
    + "train and val, scored once on test; the official split is taken as it is.",
    "official without val": "Tuned and fitted on train, in folds that keep families together; scored once on "
    + "test; the official split is taken as it is.",
    "own": "Families are dealt by seed to train (three fifths), val and test (one each); tuned and fitted on "
    + "train, choices made on val, test scored once.",
}
_NESTED = (
    " Methods that learn from published answers, which exist for test questions only, are scored in nested "
    "cross-validation within test that keeps families together: all choices in inner folds. "
    "No leaderboard result."
)


def _parts(dataset: Dataset, *, seed: int) -> dict[str, list[Example]]:
    labelled = [example for example in dataset.examples if example.answer is not None]
    parts: dict[str, list[Example]] = {"train": [], "val": [], "test": [], "train_llm": []}
    if not dataset.splits:
        families = sorted({example.group for example in labelled})
        order = np.random.default_rng(seed).permutation(len(families))
        dealt = {families[index]: OWN_PARTS[place % len(OWN_PARTS)] for place, index in enumerate(order)}
        for example in labelled:
            part = dealt[example.group]
            parts[part].append(replace(example, split=part))
        return parts
    for part, names in PART_NAMES.items():
        source = next((name for name in names if name in dataset.splits), None)
        if source is None and part != "val":
            raise InputError(
                f"got parts {', '.join(dataset.splits)} in {dataset.name}, allowed are "
                "train and test with or without val, or no parts at all",
                field="split",
            )
        parts[part] = [example for example in labelled if example.split == source and source is not None]
    parts["train_llm"] = [example for example in labelled if example.split == "train_llm"]
    return parts


def _drawn(examples: Sequence[Example], limit: int, *, seed: int) -> list[Example]:
    if len(examples) <= limit:
        return list(examples)
    kept = np.sort(np.random.default_rng(seed).permutation(len(examples))[:limit])
    return [examples[index] for index in kept]


def _headline(name: str, test: Sequence[Example], *, with_answers: bool) -> tuple[list[Example], str]:
    main = [example for example in test if example.slice == MAIN_SLICE]
    if name == "bundled" and main:
        return main, "main slice of the test part: new instances and renderings of known kinds"
    if with_answers:
        return list(test), "test questions that every answers file covers"
    shown = [example for example in test if example.has_image]
    if name == "official" and shown:
        return shown, "image questions of the test part"
    return list(test), "test part"
