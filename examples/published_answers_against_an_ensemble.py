r"""Published answers of language models against an ensemble, and an ensemble that joins both.

Answers that others have published for a benchmark's test questions cost nothing to use. The study scores
every file, the vote of all, models that never saw an answer, and a stack that learns, in nested folds by
family, whom to believe where. Published answers have licences of their own and are not part of this
toolkit, so the files are yours (`docs/your_own_data.md` tells the formats):

    python examples/published_answers_against_an_ensemble.py --data SCIENCEQA \
        --answers llava_13b.json --answers gpt3.json --out runs/published

That is the frozen preset ``published``, which takes minutes. Without files, some hundred questions are drawn
with the answers of two SIMULATED models: "reader" is good where the hint tells the answer, "knower" where it
has to be known. No language model was asked, and the figures say nothing about any. They show that a stack
finds out whom to believe. The last line tells how often the better model of each kind of question is right;
a stack that has read the hints too may pass it. 15 seconds of CPU.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

COLOURS = ("red", "green", "blue", "white", "black")
THINGS = ("ball", "cup", "door", "leaf", "stone", "car", "bird", "boat", "shoe", "hat")
SKILL = {"reader": (0.95, 0.35), "knower": (0.35, 0.95)}
"""Chance that a simulated model knows the answer: with a hint that tells it, without one."""
SMALL = ("--preset", "quick", "--limit", "300", "--set", "curve_trees=", "--set", "ablation=false")


def main() -> None:
    """Run the study on files, or on what is simulated, and print who is right how often."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="questions with a test part; with --answers")
    parser.add_argument(
        "--answers", type=Path, action="append", default=[], help="file of answers; repeatable"
    )
    parser.add_argument("--out", type=Path, help="new folder; without it all is removed in the end")
    arguments = parser.parse_args()
    if (arguments.data is None) != (not arguments.answers):
        parser.error("got one of --data and --answers, which go together")

    with ExitStack() as stack:
        folder = arguments.out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.data is not None:
            run_study(arguments.data, arguments.answers, folder / "run", "--preset", "published")
            tell(folder / "run")
            return
        print("The answers are SIMULATED: no language model was asked.", flush=True)
        questions = draw_questions(480, seed=0)
        data = folder / "questions.jsonl"
        data.write_text("".join(json.dumps(question) + "\n" for question in questions))
        test = [question for question in questions if question["split"] == "test"]
        files = [
            simulate(name, test, folder / f"{name}.json", seed=place) for place, name in enumerate(SKILL)
        ]
        run_study(data, files, folder / "run", *SMALL)
        tell(folder / "run")
        print(f"{'the better one, by kind':<24}{right_of_better(test, files):.3f}")


def draw_questions(n: int, *, seed: int) -> list[dict[str, object]]:
    """Return question records in three parts; half have a hint that tells the answer. Two to a family."""
    rng = np.random.default_rng(seed)
    questions: list[dict[str, object]] = []
    for number in range(n):
        options = [str(colour) for colour in rng.permutation(COLOURS)[:4]]
        answer = int(rng.integers(4))
        thing = f"{THINGS[number // 2 % len(THINGS)]} {number // 2}"
        question = {
            "id": f"q{number}",
            "question": f"What is the colour of {thing}?",
            "options": options,
            "answer": answer,
            "split": ("train", "test", "test", "val")[number // 2 % 4],
        }
        if number // 2 % 3 != 0 and rng.random() < 0.75:
            question["hint"] = f"Somebody painted it {options[answer]}."
        questions.append(question)
    return questions


def simulate(name: str, test: Sequence[dict[str, object]], file: Path, *, seed: int) -> Path:
    """Write answers in ScienceQA's result format, as ``--llm-answers`` reads them; some are none at all."""
    rng = np.random.default_rng([seed, 7])
    results: dict[str, int] = {}
    outputs: dict[str, str] = {}
    for question in test:
        knows = rng.random() < SKILL[name][0 if "hint" in question else 1]
        option = int(question["answer"]) if knows else int(rng.integers(len(question["options"])))
        silent = rng.random() < 0.02
        results[str(question["id"])] = -1 if silent else option
        outputs[str(question["id"])] = "I cannot tell." if silent else f"The answer is {'ABCDE'[option]}."
    file.write_text(json.dumps({"model": f"simulated {name}", "results": results, "outputs": outputs}))
    return file


def run_study(data: Path, answers: Sequence[Path], out: Path, *options: str) -> None:
    """Run the command that `docs/your_own_data.md` tells."""
    given = [argument for file in answers for argument in ("--llm-answers", str(file))]
    command = ["run", "ensemble_vs_llm", "--data", str(data), *given, *options, "--out", str(out)]
    studies = [sys.executable, "-c", "from studies.cli import main; main()"]
    if subprocess.run([*studies, *command], check=False).returncode:
        sys.exit("the study did not end well")


def tell(run: Path) -> None:
    """Print the accuracy of each method, then the stack against the LLMs, paired."""
    summary = json.loads((run / "summary.json").read_text())
    print(f"\n{'method':<24}accuracy, 95 %")
    for method in sorted(summary["methods"], key=lambda method: -method["accuracy"]["value"]):
        accuracy = method["accuracy"]
        print(f"{method['name']:<24}{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]")
    print()
    for row in summary["comparisons"]:
        if row["a"] == "stacking_with_llm" and row["b"].startswith("llm_"):
            gain = row["difference"]
            told = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
            print(f"stack against {row['b']}: {told}, {row['gains']} won, {row['losses']} lost")


def right_of_better(test: Sequence[dict[str, object]], files: Sequence[Path]) -> float:
    """Return how often the model is right that is the better one on that kind of question."""
    chosen = {file.stem: json.loads(file.read_text())["results"] for file in files}
    right = []
    for question in test:
        kind = 0 if "hint" in question else 1
        better = max(SKILL, key=lambda name: SKILL[name][kind])
        right.append(chosen[better][question["id"]] == question["answer"])
    return float(np.mean(right))


if __name__ == "__main__":
    main()
