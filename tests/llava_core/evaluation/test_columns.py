import numpy as np
import pytest

from llava_core.data.example import Example
from llava_core.evaluation.scienceqa import COLUMNS, columns

SUBJECTS = ("natural science", "social science", "language science", None)


def drawn(seed: int, n: int = 200) -> list[Example]:
    rng = np.random.default_rng(seed)
    return [
        Example(
            id=str(i),
            question="?",
            options=("a", "b"),
            answer=0,
            split="test",
            group=str(i),
            has_image=bool(rng.integers(2)),
            hint="h" if rng.integers(2) else None,
            subject=SUBJECTS[rng.integers(4)],
            grade=f"grade{rng.integers(1, 13)}" if rng.integers(3) else None,
        )
        for i in range(n)
    ]


def test_columns_against_a_count_by_hand() -> None:
    examples = drawn(0)
    credit = np.random.default_rng(1).choice([0, 0.5, 1], len(examples))
    table = columns(credit, examples)
    assert tuple(table) == COLUMNS

    by_hand = {name: [0.0, 0] for name in COLUMNS}
    for value, e in zip(credit, examples, strict=True):
        inside = ["Avg"]
        inside += {"natural science": ["NAT"], "social science": ["SOC"], "language science": ["LAN"]}.get(
            e.subject or "", []
        )
        inside += ["TXT"] if e.hint else []
        inside += ["IMG"] if e.has_image else []
        inside += ["NO"] if not e.hint and not e.has_image else []
        if e.grade:
            inside += ["G1-6"] if int(e.grade[5:]) <= 6 else ["G7-12"]
        for name in inside:
            by_hand[name][0] += float(value)
            by_hand[name][1] += 1
    assert {name: [c.credit, c.n] for name, c in table.items()} == by_hand


def test_unknown_metadata_is_counted_and_said() -> None:
    examples = drawn(2)
    table = columns(np.ones(len(examples)), examples)
    n_without = sum(e.subject is None for e in examples)
    assert table["SOC"].n_unknown == n_without
    assert table["SOC"].note == f"unknown for {n_without} of {len(examples)} questions"
    assert table["NAT"].n + table["SOC"].n + table["LAN"].n + n_without == len(examples)
    assert "without a hint count as having none" in table["TXT"].note
    assert table["Avg"].note == ""


def test_empty_column_has_no_accuracy() -> None:
    table = columns([], [])
    assert table["Avg"].accuracy is None
    assert columns([1, 0], drawn(3, 2))["Avg"].accuracy == 0.5


def test_credit_has_to_fit_the_questions() -> None:
    with pytest.raises(ValueError, match=r"got credit of shape \(2,\) for 3 questions"):
        columns([1, 0], drawn(0, 3))
