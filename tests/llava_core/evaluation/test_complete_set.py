"""The nine columns on a synthetic set of 4,241 questions: every published row of a model, to the digit."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, milp
from typer.testing import CliRunner

from llava_core.cli import app
from llava_core.evaluation.leaderboard import N_TEST, PUBLISHED

MODELS = [row for row in PUBLISHED if row.name != "Human"]
SUBJECTS = {"NAT": "natural science", "SOC": "social science", "LAN": "language science"}
N_BOTH = 1257
"""Questions with hint and image."""


def drawn_questions() -> list[dict[str, object]]:
    """Subjects, grades and contexts with the counts of the real test part, mixed at random."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(list(SUBJECTS), [N_TEST[name] for name in SUBJECTS])
    young = np.repeat([True, False], [N_TEST["G1-6"], N_TEST["G7-12"]])
    n_only_text, n_only_image = N_TEST["TXT"] - N_BOTH, N_TEST["IMG"] - N_BOTH
    contexts = np.repeat(["text", "both", "image", ""], [n_only_text, N_BOTH, n_only_image, N_TEST["NO"]])
    for column in (subjects, young, contexts):
        assert len(column) == N_TEST["Avg"]
        rng.shuffle(column)
    return [
        {
            "question": f"Number {k}?",
            "choices": ["this", "that", "neither"],
            "answer": int(rng.integers(3)),
            "hint": "Look." if context in ("text", "both") else "",
            "image": "image.png" if context in ("image", "both") else None,
            "grade": f"grade{rng.integers(1, 7) if is_young else rng.integers(7, 13)}",
            "subject": SUBJECTS[subject],
            "topic": f"topic {k % 26}",
            "split": "test",
        }
        for k, (subject, is_young, context) in enumerate(zip(subjects, young, contexts, strict=True))
    ]


def members(questions: list[dict[str, object]]) -> NDArray[np.float64]:
    """Which question belongs to which column, (columns, questions), told anew."""
    rows = [[q["subject"] == subject for q in questions] for subject in SUBJECTS.values()]
    rows += [
        [q["hint"] != "" for q in questions],
        [q["image"] is not None for q in questions],
        [q["hint"] == "" and q["image"] is None for q in questions],
    ]
    rows += [[len(str(q["grade"])) == 6 and str(q["grade"])[-1] < "7" for q in questions]]
    rows += [[not young for young in rows[-1]], [True] * len(questions)]
    return np.array(rows, dtype=float)


def right_answers(belongs: NDArray[np.float64], counts: list[int], seed: int) -> NDArray[np.bool_]:
    """Return which questions are right so that every column has its count."""
    kinds, kind_of, sizes = np.unique(belongs, axis=1, return_inverse=True, return_counts=True)
    found = milp(
        c=np.random.default_rng(seed).random(kinds.shape[1]),
        constraints=LinearConstraint(kinds, counts, counts),
        bounds=(0, sizes),
        integrality=np.ones(kinds.shape[1]),
    )
    assert found.success
    right = np.zeros(belongs.shape[1], dtype=bool)
    for kind, n in enumerate(np.rint(found.x).astype(int)):
        right[np.flatnonzero(kind_of == kind)[:n]] = True
    return right


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str, list[str], list[dict[str, object]]]:
    """Answers that are right as often as published, in three formats, through the command."""
    root = tmp_path_factory.mktemp("complete")
    questions = drawn_questions()
    (root / "problems.json").write_text(json.dumps({str(k): q for k, q in enumerate(questions)}))
    belongs = members(questions)
    assert belongs.sum(1).tolist() == list(N_TEST.values())
    words = ["bench", "scienceqa", "--data", str(root), "--out", str(root / "scores.json"), "--topics"]
    stems = []
    for number, row in enumerate(MODELS):
        counts = [round(a * n / 100) for a, n in zip(row.accuracies, N_TEST.values(), strict=True)]
        right = right_answers(belongs, counts, seed=number)
        told = [
            int(q["answer"]) if is_right else (int(q["answer"]) + 1) % 3
            for q, is_right in zip(questions, right, strict=True)
        ]
        stems.append(f"row{number}")
        path = root / f"row{number}.json"
        if number % 3 == 0:
            path.write_text(json.dumps({"results": {str(k): index for k, index in enumerate(told)}}))
        elif number % 3 == 1:
            texts = {str(k): f"So it is. The answer is {'ABC'[index]}." for k, index in enumerate(told)}
            path.write_text(json.dumps({"outputs": texts}))
        else:
            path = path.with_suffix(".jsonl")
            lines = ({"question_id": str(k), "text": "ABC"[index]} for k, index in enumerate(told))
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        words += ["--answers", str(path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return json.loads((root / "scores.json").read_text()), result.stdout, stems, questions


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_each_published_row_comes_out_to_the_digit(bench, number: int) -> None:
    data, printed, stems, _ = bench
    shown = [f"{accuracy:.2f}" for accuracy in MODELS[number].accuracies]
    columns = data["scores"][number]["columns"]
    assert [f"{100 * column['accuracy']:.2f}" for column in columns.values()] == shown
    assert {name: column["n"] for name, column in columns.items()} == N_TEST
    assert all(column["n_unknown"] == 0 for column in columns.values())
    mine = next(line for line in printed.splitlines() if line.startswith(stems[number]))
    theirs = next(line for line in printed.splitlines() if line.startswith(MODELS[number].name))
    assert mine.split()[1:] == shown == theirs.split()[-9:]


def test_the_page_is_80_columns_wide_and_tells_what_stands_behind_it(bench) -> None:
    data, printed, _, _ = bench
    lines = printed.splitlines()
    assert max(len(line) for line in lines if not line.startswith("written: ")) <= 80
    behind = next(line for line in lines if line.startswith("  questions"))
    assert behind.split()[1:] == [str(n) for n in N_TEST.values()]
    assert any(line.startswith("Human") for line in lines)
    assert {row["name"] for row in data["published"]} == {row.name for row in PUBLISHED}


def test_topics_add_up(bench) -> None:
    data, printed, _, questions = bench
    for score in data["scores"]:
        topics = score["topics"]
        assert len(topics) == 26
        assert {name: c["n"] for name, c in topics.items()} == {
            f"topic {k}": len(questions[k::26]) for k in range(26)
        }
        assert sum(c["credit"] for c in topics.values()) == score["columns"]["Avg"]["credit"]
    assert "topic 25" in printed
