"""Strict, stored and lenient scores of the same answers, and the command around them."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llava_core.cli import app
from llava_core.data.example import Dataset, Example
from llava_core.evaluation.answers import read_answers
from llava_core.evaluation.score_table import score_lines
from llava_core.evaluation.scoring import Score, score

N = 400
DATA = Dataset(
    name="d",
    fingerprint="0",
    examples=tuple(
        Example(id=str(k), question="?", options=("a", "b", "c"), answer=0, split="test", group=str(k))
        for k in range(N)
    ),
)


def scored(tmp_path: Path, content: object, rule: str = "strict", seed: int = 0) -> Score:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content))
    return score(read_answers(path, DATA), DATA.examples, rule=rule, seed=seed)


def test_strict_counts_missing_and_unparsed_as_wrong(tmp_path: Path) -> None:
    texts = {"0": "A", "1": "A. a", "2": "The answer is A.", "3": "who knows", "4": "E", "5": "", "6": "B"}
    said = scored(tmp_path, {"outputs": texts})
    assert (said.columns["Avg"].credit, said.columns["Avg"].n) == (3, N)
    assert (said.n_asked, said.n_missing, said.n_unparsed, said.n_beyond) == (7, N - 7, 2, 1)
    assert said.reasons == {"no letter stated": 1, "a letter beyond the options": 1, "empty": 1}


def test_lenient_knows_one_rule_draws_the_rest_and_skips_what_is_missing(tmp_path: Path) -> None:
    stated = {str(k): "It is so. The answer is A." for k in range(100)}
    drawn = {str(k): ("A", "A. a", "The answer is E.", "?")[k % 4] for k in range(100, 300)}
    said = scored(tmp_path, {"outputs": stated | drawn}, "lenient")
    assert (said.columns["Avg"].n, said.n_missing, said.n_guessed) == (300, N - 300, 200)
    # A draw among three is right 200 / 3 times, give or take 6.7 (one standard deviation).
    assert 100 + 40 < said.columns["Avg"].credit < 100 + 94
    assert scored(tmp_path, {"outputs": stated | drawn}, "lenient") == said
    others = {
        scored(tmp_path, {"outputs": stated | drawn}, "lenient", seed).columns["Avg"].credit
        for seed in range(5)
    }
    assert len(others) > 1
    strict = scored(tmp_path, {"outputs": stated | drawn})
    assert strict.columns["Avg"].credit == 100 + 100


def test_a_draw_does_not_depend_on_the_other_questions(tmp_path: Path) -> None:
    def right(ids: list[int]) -> float:
        return scored(tmp_path, {"outputs": {str(k): "?" for k in ids}}, "lenient").columns["Avg"].credit

    assert right(list(range(60))) == sum(right([k]) for k in range(60))


def test_stored_takes_what_the_file_holds(tmp_path: Path) -> None:
    content = {"results": {"0": 0, "1": 0, "2": -1}, "outputs": {"0": "A", "1": "hm", "2": "hm"}}
    assert scored(tmp_path, content, "stored").columns["Avg"].credit == 2
    assert scored(tmp_path, content).columns["Avg"].credit == 1
    assert scored(tmp_path, {"results": {"0": 0, "1": 0}}).columns["Avg"].credit == 2
    lenient = scored(tmp_path, {"results": {"0": 0, "2": -1}}, "lenient")
    assert (lenient.n_asked, lenient.n_guessed) == (2, 1)


def test_questions_without_a_known_answer_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"results": {"0": 0}}))
    unlabelled = Example(id="x", question="?", options=("a", "b"), answer=None, split="test", group="x")
    assert score(read_answers(path, DATA), [*DATA.examples, unlabelled]).columns["Avg"].n == N


def test_a_long_name_is_cut_and_the_lines_stay_narrow(tmp_path: Path) -> None:
    path = tmp_path / f"{'long_' * 9}.json"
    path.write_text(json.dumps({"results": {"0": 0, "1": 1}, "outputs": {"0": "B", "1": "B"}}))
    read = read_answers(path, DATA)
    lines = score_lines([score(read, DATA.examples, rule=rule) for rule in ("strict", "stored")])
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("long_long_long_long_lo... ")
    assert lines[2][:25].rstrip().endswith("..., stored")
    lenient = score_lines([score(read, DATA.examples, rule="lenient")])
    assert lenient[0].startswith("accuracy, %, lenient ")


def test_columns_of_other_questions_tell_theirs(tmp_path: Path) -> None:
    scores = [
        scored(tmp_path, {"outputs": dict.fromkeys(map(str, range(n)), "The answer is A.")}, "lenient")
        for n in (5, 5, 7)
    ]
    behind = [line.split()[-1] for line in score_lines(scores) if line.startswith("  questions")]
    assert behind == ["5", "7"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {"id": str(k), "question": f"Is it {k}?", "options": ["no", "yes"], "answer": k % 2, "split": "test"}
        for k in range(4)
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(data: Path, *words: str):
    return CliRunner().invoke(app, ["bench", "scienceqa", "--data", str(data), *words])


@pytest.mark.parametrize(
    ("lines", "credit"),
    [
        ([{"id": "0", "prompt": "QCM-LEA", "text": "So. The answer is A.", "parsed": 0, "chosen": 1}], 1),
        ([{"id": "1", "prompt": "option_texts", "text": "Yes!", "parsed": 1}], 1),
        ([{"id": "1", "prompt": "option_texts", "text": "B", "parsed": -1}], 0),
        ([{"question_id": "0", "text": "A"}, {"question_id": 1, "text": "B. yes"}], 2),
    ],
)
def test_lines_of_ours_and_of_llava(data: Path, tmp_path: Path, lines: list, credit: int) -> None:
    answers = tmp_path / "a.jsonl"
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = run(data, "--answers", str(answers), "--json")
    assert result.exit_code == 0, result.output
    (mine,) = json.loads(result.stdout)["scores"]
    assert (mine["columns"]["Avg"]["credit"], mine["columns"]["Avg"]["n"]) == (credit, 4)
    assert mine["answers"]["missing"] == 4 - len(lines)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([{"text": "A"}], "a.jsonl, record line 1, field id: got null, allowed is a question id"),
        ([{"id": "0", "text": 3}], "record line 1, field text: got 3, allowed is text"),
        ([{"id": "0", "text": "A"}] * 2, "record line 2: got '0' again, allowed is one line per question"),
        ([{"id": "0", "text": "A", "parsed": 2}], "record 0, field results: got 2, allowed is 0 to 1"),
        (
            [{"id": "0", "text": "A", "prompt": "CQM-A"}, {"id": "1", "text": "A", "prompt": "QCM-A"}],
            "record line 2, field prompt: got 'QCM-A', but 'CQM-A' in line 1; allowed is one prompt per file",
        ),
    ],
)
def test_faulty_lines_are_named(data: Path, tmp_path: Path, lines: list, told: str) -> None:
    answers = tmp_path / "a.jsonl"
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert re.search(re.escape(told), str(run(data, "--answers", str(answers)).exception))


def test_a_part_that_is_not_there_is_refused(data: Path) -> None:
    assert "got 'val', allowed are test" in str(run(data, "--answers", "x", "--part", "val").exception)


@pytest.mark.scienceqa
def test_real_answers_through_the_command(scienceqa_dir: Path, tmp_path: Path) -> None:
    """TXT, IMG, NO and all of the data's README, from the stored indices where those differ."""
    readme = {
        "llava_13b": (1379, 1328, 964, 2878, 2877),
        "llava_13b_lcs558k": (1386, 1336, 976, 2894, 2894),
        "llava_1.5_13b_zero_shot": (1147, 1069, 786, 2350, 2350),
        "gpt3_2shot_cot": (1149, 1022, 850, 2379, 2286),
    }
    words = [w for name in readme for w in ("--answers", str(scienceqa_dir / "llm_answers" / f"{name}.json"))]
    result = run(scienceqa_dir, *words, "--out", str(tmp_path / "s.json"))
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if not line.startswith("written")]
    assert max(map(len, lines)) <= 80
    found: dict[str, dict] = {}
    for row in json.loads((tmp_path / "s.json").read_text())["scores"]:
        found.setdefault(row["name"], {})[row["rule"]] = row["columns"]
    for name, (*stored, n_strict) in readme.items():
        columns = found[name].get("stored", found[name]["strict"])
        assert [columns[c]["credit"] for c in ("TXT", "IMG", "NO", "Avg")] == stored
        assert [columns[c]["n"] for c in ("TXT", "IMG", "NO", "Avg")] == [1554, 1518, 1063, 3175]
        assert found[name]["strict"]["Avg"]["credit"] == n_strict


@pytest.mark.scienceqa
@pytest.mark.parametrize(
    ("name", "unparsed"), [("gemma3", 3), ("llama", 64), ("llava", 110), ("minicpm-v", 378)]
)
def test_free_form_files_tell_why_they_do_not_parse(scienceqa_dir: Path, name: str, unparsed: int) -> None:
    answers = str(scienceqa_dir / "llm_answers" / f"images_only_{name}.json")
    (row,) = json.loads(run(scienceqa_dir, "--answers", answers, "--json").stdout)["scores"]
    told = row["answers"]
    assert (told["asked"], told["missing"], told["unparsed"]) == (1518, 1657, unparsed)
    assert sum(told["reasons"].values()) == unparsed
