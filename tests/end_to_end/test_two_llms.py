"""Complement and judge, from files and from a language model that is asked during the run."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from studies.predictions import read_predictions
from tests.chat_server import Fault

Studies = Callable[..., subprocess.CompletedProcess[str]]
QUICK = (
    "--preset", "quick", "--trials", "1", "--set", "curve_trees=", "--set", "curve_xgbs=",
    "--set", "ablation=false", "--set", "families_removed=false",
)  # fmt: skip
LETTERS = "ABCDE"


@pytest.fixture(scope="module")
def records(questions: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """The questions with parts, and those of the test part."""
    parts = ("train", "train", "test", "test")
    rows = [
        {**json.loads(line), "split": parts[i // 2 % len(parts)]}
        for i, line in enumerate(questions.read_text().splitlines())
    ]
    path = tmp_path_factory.mktemp("two_llms") / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path, [row for row in rows if row["split"] == "test"]


def answers(path: Path, options: dict[str, int | None]) -> Path:
    outputs = {
        pid: "It cannot be told without the image." if k is None else f"So be it. The answer is {LETTERS[k]}."
        for pid, k in options.items()
    }
    path.write_text(json.dumps({"outputs": outputs}))
    return path


def wrong(row: dict) -> int:
    return (row["answer"] + 1) % len(row["options"])


@pytest.fixture(scope="module")
def files(records, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Text abstains in cases 0 to 2, is right in 3 to 6; llava is wrong in 2, 5, 6, 8, 9; no verdict in 5."""
    _, test = records
    folder = tmp_path_factory.mktemp("answers")
    text: dict[str, int | None] = {}
    llava: dict[str, int | None] = {}
    verdicts: dict[str, int | None] = {}
    for i, row in enumerate(test):
        case, right, other = i % 10, row["answer"], wrong(row)
        text[row["id"]] = None if case < 3 else right if case < 7 else other
        llava[row["id"]] = other if case in (2, 5, 6, 8, 9) else right
        verdicts[row["id"]] = None if case == 5 else right
    return {
        "text": answers(folder / "text.json", text),
        "llava": answers(folder / "llava.json", llava),
        "verdicts": answers(folder / "verdicts.json", verdicts),
    }


def asked_as(row: dict) -> str:
    options = " ".join(
        f"({letter}) {option}" for letter, option in zip(LETTERS, row["options"], strict=False)
    )
    return f"{row['question']}\nContext: {row['hint']}\nOptions: {options}"


def n_right(run: Path, method: str) -> int:
    frame = read_predictions(run / "predictions.parquet")
    rows = frame[frame["method"] == method]
    return round(float((rows["chosen"] * rows["correct"].astype(bool)).sum()))


def test_complement_judge_and_bound_from_files(studies: Studies, records, files, tmp_path: Path) -> None:
    data, test = records
    out = tmp_path / "run"
    done = studies(
        "run", "ensemble_vs_llm", *QUICK, "--data", data, "--llm-answers", files["text"], "--llm-answers",
        files["llava"], "--set", "llm_pair=text,llava", "--set", f"llm_verdicts={files['verdicts']}",
        "--limit", "1000", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "torch loaded: False" in done.stderr
    n = len(test)
    assert n % 10 == 0
    # Abstained 3 (llava right on 2), then 4 right of its own.
    assert n_right(out, "llm_complement") == n * 6 // 10
    # They differ in 0, 1, 2, 5, 6, 7. Verdicts are right but in 5, where llava's wrong answer stands; where
    # they agree, 3 and 4 are right, 8 and 9 wrong.
    assert n_right(out, "llm_judge") == n * 7 // 10
    # Either right: 0, 1, 3 to 6, 7.
    assert n_right(out, "llm_either") == n * 7 // 10
    summary = json.loads((out / "summary.json").read_text())
    assert summary["llm_pair"] == {
        "first": "text", "second": "llava", "n": n, "n_abstained": n * 3 // 10,
        "n_disagreed": n * 6 // 10, "n_without_verdict": n // 10,
    }  # fmt: skip
    pairs = {(row["a"], row["b"]) for row in summary["comparisons"]}
    assert {("llm_judge", "llm_best"), ("llm_judge", "llm_complement")} <= pairs
    kinds = {method["name"]: method["kind"] for method in summary["methods"]}
    assert kinds["llm_either"] == "bound"
    page = (out / "report.html").read_text()
    assert "Two LLMs together" in page
    assert "Upper bound: either of the two right" in page


def test_a_language_model_is_asked_and_a_broken_run_goes_on(
    studies: Studies, records, files, chat_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, test = records
    by_words = {asked_as(row): row for row in test}
    assert len(by_words) == len(test)
    said = {pid: text for pid, text in json.loads(files["text"].read_text())["outputs"].items()}
    ruled = {pid: text for pid, text in json.loads(files["verdicts"].read_text())["outputs"].items()}
    is_down = True

    def answer(messages: list[dict[str, str]]) -> str | Fault:
        row = by_words["\n".join(messages[-1]["content"].split("\n")[:3])]
        if "Second student" in messages[-1]["content"]:
            if is_down and row is test[0]:
                return Fault(status=500)
            return ruled[row["id"]]
        return said[row["id"]]

    server = chat_server(answer)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    out = tmp_path / "run"
    words = (
        "run", "ensemble_vs_llm", *QUICK, "--data", data, "--llm-answers", files["llava"],
        "--set", "llm_pair=asked,llava", "--set", "llm_model=gpt-4", "--limit", "1000", "--out", out,
    )  # fmt: skip
    broken = studies(*words)
    assert broken.returncode == 2
    assert "no reply to 1 of" in broken.stderr
    assert "Traceback" not in broken.stderr
    n_before, is_down = len(server.requests), False
    done = studies(*words, "--resume")
    assert done.returncode == 0, done.stderr
    assert len(server.requests) == n_before + 1
    summary = json.loads((out / "summary.json").read_text())
    assert summary["llm_pair"]["first"] == "asked"
    assert {"llm:asked", "llm_judge", "llm_complement", "llm_either"} <= {
        m["name"] for m in summary["methods"]
    }
    assert not any(b"sk-secret" in file.read_bytes() for file in out.rglob("*") if file.is_file())
