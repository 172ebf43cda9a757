"""Run the study on questions of your own: a file of questions, then a table of options with embeddings.

Writes a few hundred small questions about rooms and things, gives every option an "embedding" (here drawn
from a fixed direction plus noise; bring your encoder's), and runs the study on both files. Under a minute:

    python examples/own_questions.py [FOLDER]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOMS = {
    "kitchen": ["kettle", "stove", "fridge", "ladle", "whisk", "colander"],
    "garage": ["car jack", "tyre", "engine oil", "spanner", "tow rope", "spark plug"],
    "bathroom": ["shower", "toothbrush", "bath mat", "razor", "towel rail", "soap dish"],
    "office": ["stapler", "printer", "desk lamp", "envelope", "keyboard", "filing box"],
}
WORDINGS = ["Which of these is found in a {}?", "In a {}, what would you expect?", "A {} has one of these:"]
WIDTH = 8


def main() -> None:
    """Write both files and run the study on each."""
    if len(sys.argv) > 1:
        run_both(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        run_both(Path(folder))


def run_both(folder: Path) -> None:
    """Run the study on a question file and on an option table, and print what each found."""
    folder.mkdir(parents=True, exist_ok=True)
    questions = draw_questions(240, seed=0)

    question_file = folder / "questions.jsonl"
    question_file.write_text("".join(json.dumps(question) + "\n" for question in questions))
    run_study(question_file, folder / "run_questions")

    option_table = folder / "options.parquet"
    embed(questions, seed=0).to_parquet(option_table)
    run_study(option_table, folder / "run_options")


def draw_questions(n: int, *, seed: int) -> list[dict[str, object]]:
    """Return records of a question file. One family per asked thing, so no split shares an answer."""
    rng = np.random.default_rng(seed)
    questions: list[dict[str, object]] = []
    for number in range(n):
        room = str(rng.choice(list(ROOMS)))
        thing = str(rng.choice(ROOMS[room]))
        others = [str(rng.choice(ROOMS[other])) for other in ROOMS if other != room]
        answer = int(rng.integers(4))
        questions.append(
            {
                "id": f"q{number}",
                "question": str(rng.choice(WORDINGS)).format(room),
                "options": [*others[:answer], thing, *others[answer:]],
                "answer": answer,
                "group": thing,
            }
        )
    return questions


def embed(questions: list[dict[str, object]], *, seed: int) -> pd.DataFrame:
    """Return an option table: one row per option, with a vector and a number as a user's own columns."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=WIDTH)
    rows = []
    for question in questions:
        for index, option in enumerate(question["options"]):
            correct = index == question["answer"]
            vector = rng.normal(size=WIDTH) + (0.6 * direction if correct else 0)
            rows.append(
                {
                    "id": question["id"],
                    "question": question["question"],
                    "group": question["group"],
                    "option": option,
                    "correct": correct,
                    "embedding": vector.astype(np.float32),
                    "n_letters": len(option),
                }
            )
    return pd.DataFrame(rows)


def run_study(data: Path, out: Path) -> None:
    """Run the command of the README and print the accuracy of each method."""
    command = ["run", "ensemble_vs_llm", "--data", str(data), "--out", str(out)]
    studies = [sys.executable, "-c", "from studies.cli import main; main()"]
    subprocess.run([*studies, *command, "--preset", "quick", "--trials", "2"], check=True)
    summary = json.loads((out / "summary.json").read_text())
    print(f"\n{data.name}: {summary['verdict']['sentence']}")
    for method in summary["methods"]:
        accuracy = method["accuracy"]
        print(f"{method['name']:>22} {accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]")


if __name__ == "__main__":
    main()
