import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llava_core.backends.chat import Message, Reply, Request
from llava_core.cli import app, main
from tests.chat_server import Fault

N_COCO = 90
SPOILED = ("Both are good.", "8", "8/10 7/10", "", "\n8 7", "nan 7", "80 70", "Scores: 8 7", "8 7 6")
CATEGORIES = ("conv", "detail", "complex")


def shown(messages: list[dict[str, str]]) -> tuple[str, str]:
    """The two answers in the order the judge sees them."""
    found = re.findall(r"\[Assistant \d\]\n(.*?)\n\n\[End of", messages[-1]["content"], flags=re.DOTALL)
    assert len(found) == 2
    return found[0], found[1]


def number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def merit(text: str) -> int:
    return 2 + number(text) % 7


def judging(messages: list[dict[str, str]], *, lead: int = 0) -> str:
    """Grades 2 to 8 by what an answer says, and `lead` more to the first."""
    first, second = shown(messages)
    return f"{merit(first) + lead} {merit(second)}\nBecause of what they say."


def spoiling(messages: list[dict[str, str]]) -> str:
    """A judge of which about every fifth reply cannot be read, always the same ones."""
    chance = number(messages[-1]["content"])
    return SPOILED[chance // 5 % len(SPOILED)] if chance % 5 == 0 else judging(messages)


def lines(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Four images in the wild with three questions each; answers as `llava answer` writes them."""
    ids = range(12)
    questions = lines(
        tmp_path / "questions.jsonl",
        [
            {
                "question_id": i,
                "image": f"{i // 3}.jpg",
                "text": f"Question {i}?",
                "category": CATEGORIES[i % 3],
            }
            for i in ids
        ],
    )
    contexts = lines(
        tmp_path / "contexts.jsonl",
        [{"id": i, "image": f"{i}.jpg", "caption": f"Scene {i}."} for i in range(4)],
    )
    good = lines(tmp_path / "good.jsonl", [{"question_id": i, "text": f"Right, {i}."} for i in ids])
    tried = [
        {"id": str(i), "question": f"Question {i}?", "images": [], "text": f"Perhaps {i}.", "settings": "x"}
        for i in ids
    ]
    answers = lines(tmp_path / "answers.jsonl", tried)
    return [
        *("--questions", str(questions), "--contexts", str(contexts)),
        *("--references", str(good), "--answers", str(answers)),
    ]


def judge(files: list[str], url: str, out: Path, *more: str, code: int = 0, model: str = "m") -> Result:
    ended = CliRunner().invoke(
        app, ["bench", "judge", *files, "--model", model, "--endpoint", url, "--out", str(out), *more]
    )
    assert ended.exit_code == code, (ended.output, ended.exception)
    return ended


def score(*words: object) -> Result:
    ended = CliRunner().invoke(app, ["bench", "score", *map(str, words)], env={"COLUMNS": "80"})
    assert ended.exit_code == 0, (ended.output, ended.exception)
    return ended


@pytest.mark.parametrize("verb", ["judge", "score"])
def test_help_has_an_example_and_fits(verb: str) -> None:
    told = CliRunner().invoke(app, ["bench", verb, "--help"], env={"COLUMNS": "80"})
    assert told.exit_code == 0
    assert f"Example: llava bench {verb}" in told.output
    assert max(len(line) for line in told.output.splitlines()) <= 80


def coco_files(folder: Path, tmp_path: Path) -> list[str]:
    """The 90 questions of COCO, and as candidates the references cut off in the middle."""
    references = read(folder / "qa90_gpt4_answer.jsonl")
    cut = [
        {"question_id": each["question_id"], "text": str(each["text"])[: len(str(each["text"])) // 2]}
        for each in references
    ]
    return [
        *("--questions", str(folder / "qa90_questions.jsonl")),
        *("--contexts", str(folder / "caps_boxes_coco2014_val_80.jsonl")),
        *("--references", str(folder / "qa90_gpt4_answer.jsonl")),
        *("--answers", str(lines(tmp_path / "cut.jsonl", cut))),
    ]


def test_all_of_coco_with_a_judge_that_spoils_replies(
    llava_bench_dir: Path, tmp_path: Path, chat_server
) -> None:
    spoiled: list[str] = []

    def answer(messages: list[dict[str, str]]) -> str:
        said = spoiling(messages)
        if not said.endswith("Because of what they say."):
            spoiled.append(said)
        return said

    server = chat_server(answer)
    files = coco_files(llava_bench_dir, tmp_path)
    out = tmp_path / "reviews.jsonl"
    told = judge(files, server.url, out).stderr
    assert len(server.requests) == N_COCO
    assert set(spoiled) == set(SPOILED)
    assert f"90 reviews, 0 of them there already; {len(spoiled)} without scores, kept with their text" in told
    assert {(body["temperature"], body["max_tokens"]) for body in server.requests} == {(0.2, 1024)}

    reviews = read(out)
    questions = read(llava_bench_dir / "qa90_questions.jsonl")
    assert [each["id"] for each in reviews] == list(range(1, N_COCO + 1))
    assert [each["question_id"] for each in reviews] == [each["question_id"] for each in questions]
    assert [each["category"] for each in reviews] == [each["category"] for each in questions]
    failed = [each for each in reviews if each["tuple"] == [-1, -1]]
    assert sorted(str(each["content"]) for each in failed) == sorted(spoiled)

    # The references are what the judge saw first, and its grades are known.
    good = {
        each["question_id"]: str(each["text"]) for each in read(llava_bench_dir / "qa90_gpt4_answer.jsonl")
    }
    tried = {each["question_id"]: str(each["text"]) for each in read(tmp_path / "cut.jsonl")}
    counted = [each["question_id"] for each in reviews if each not in failed]
    expected = 100 * sum(merit(tried[i]) for i in counted) / sum(merit(good[i]) for i in counted)
    summary = json.loads(score(out, "--questions", llava_bench_dir / "qa90_questions.jsonl", "--json").stdout)
    [run] = summary["candidates"][0]["runs"]
    assert run["scores"]["all"]["relative"]["value"] == pytest.approx(expected)
    assert run["scores"]["all"]["relative"]["n_clusters"] == 30
    assert (run["n_failed"], run["n_missing"]) == (len(spoiled), 0)
    assert summary["candidates"][0]["set"] == "coco"

    # Once more costs nothing, whether the reviews are still there or not.
    before = out.read_bytes()
    assert "90 reviews, 90 of them there already" in judge(files, server.url, out).stderr
    out.unlink()
    judge(files, server.url, out)
    assert out.read_bytes() == before
    assert len(server.requests) == N_COCO


def test_a_run_killed_half_way_goes_on_to_the_same_file(
    llava_bench_dir: Path, tmp_path: Path, chat_server
) -> None:
    is_slow = True

    def answer(messages: list[dict[str, str]]) -> str | Fault:
        time.sleep(0.02 if is_slow else 0)
        return spoiling(messages)

    server = chat_server(answer)
    files = coco_files(llava_bench_dir, tmp_path)
    out, straight = tmp_path / "reviews.jsonl", tmp_path / "straight.jsonl"
    words = [*files, "--model", "m", "--endpoint", server.url, "--out", str(out), "--concurrency", "2"]
    run = subprocess.Popen([sys.executable, "-m", "llava_core.cli", "bench", "judge", *words])
    while not (out.exists() and out.read_bytes().count(b"\n") >= 40):
        assert run.poll() is None
        time.sleep(0.01)
    run.kill()
    run.wait()
    is_slow = False
    n_there = out.read_bytes().count(b"\n")
    assert 40 <= n_there < N_COCO
    with out.open("ab") as file:
        file.write(b'{"id": 41, "questi')
    assert f"90 reviews, {n_there} of them there already" in judge(files, server.url, out).stderr
    n_asked = len(server.requests)
    assert n_asked <= N_COCO + 2  # under way when it was killed
    judge(files, server.url, straight)
    assert out.read_bytes() == straight.read_bytes()
    assert len(server.requests) == n_asked + N_COCO  # another --out is another run of the judge


def test_swapping_shows_the_judges_bias(files: list[str], tmp_path: Path, chat_server) -> None:
    server = chat_server(lambda messages: judging(messages, lead=1))
    out, later = tmp_path / "reviews.jsonl", tmp_path / "later.jsonl"
    judge(files, server.url, out, "--swap")
    reviews = read(out)
    assert [(each["id"], each["swapped"]) for each in reviews] == [(i + 1, i >= 12) for i in range(24)]
    assert [each["answer1_id"] for each in reviews[12:]] == [each["answer2_id"] for each in reviews[:12]]
    assert {each["category"] for each in reviews} == {f"llava_bench_{name}" for name in CATEGORIES}

    judge(files, server.url, later)
    judge(files, server.url, later, "--swap")
    assert later.read_bytes() == out.read_bytes()

    ended = score(out, "--questions", tmp_path / "questions.jsonl", "--json")
    [run] = json.loads(ended.stdout)["candidates"][0]["runs"]
    lead = run["position_bias"]["first_minus_second"]
    assert (lead["value"], lead["low"], lead["high"]) == pytest.approx((1, 1, 1))
    good = [merit(f"Right, {i}.") for i in range(12)]
    tried = [merit(f"Perhaps {i}.") for i in range(12)]
    flips = sum(abs(a - b) < 1 for a, b in zip(good, tried, strict=True))
    assert run["position_bias"]["flipped"]["value"] == pytest.approx(flips / 12)
    both = run["both_orders"]["all"]["relative"]["value"]
    assert both == pytest.approx(100 * (sum(tried) + 6) / (sum(good) + 6))
    assert run["scores"]["all"]["relative"]["value"] == pytest.approx(100 * sum(tried) / (sum(good) + 12))
    told = score(out).stdout
    assert "Both orders of the answers: reviews" in told
    assert f"Verdict turned round by the order: {100 * flips / 12:.1f} % [" in told
    assert flips > 0
    assert "Answer shown first less the one shown second: +1.00 [1.00, 1.00] points." in told
    assert max(len(line) for line in told.splitlines()) <= 80


def test_what_got_no_reply_is_asked_again(files: list[str], tmp_path: Path, chat_server) -> None:
    is_broken = True

    def answer(messages: list[dict[str, str]]) -> str | Fault:
        if is_broken and "Question 4?" in messages[-1]["content"]:
            return Fault(status=422)
        return judging(messages)

    server = chat_server(answer)
    out = tmp_path / "reviews.jsonl"
    told = judge(files, server.url, out, code=1).stderr
    assert "1 requests got no reply (status 422: as asked: 422); the same command asks them again" in told
    assert [each["id"] for each in read(out)] == [i + 1 for i in range(12) if i != 4]
    is_broken = False
    judge(files, server.url, out)
    assert [each["id"] for each in read(out)] == list(range(1, 13))


def test_a_budget_stops_cleanly_and_a_larger_one_goes_on(
    files: list[str], tmp_path: Path, chat_server
) -> None:
    server = chat_server(judging)
    out = tmp_path / "reviews.jsonl"
    told = judge(files, server.url, out, "--budget-tokens", "3000", code=1).stderr
    n_there = len(read(out))
    assert 0 < n_there < 12
    assert f"{12 - n_there} requests were not asked: the budget does not cover them" in told
    judge(files, server.url, out, "--budget-tokens", "100000")
    assert [each["id"] for each in read(out)] == list(range(1, 13))
    assert len(server.requests) == 12


def refused(words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", ["llava", "bench", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert len(told.strip().splitlines()) == 1
    return told


def test_another_judge_or_other_answers_are_refused(
    files: list[str], tmp_path: Path, chat_server, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = chat_server(judging)
    out = tmp_path / "reviews.jsonl"
    judge(files, server.url, out, "--limit", "3")
    assert [each["id"] for each in read(out)] == [1, 2, 3]
    words = ["judge", *files, "--endpoint", server.url, "--out", str(out), "--model"]
    assert "by another judge or with other settings" in refused([*words, "n"], capsys, monkeypatch)
    answers = tmp_path / "answers.jsonl"
    answers.write_text(answers.read_text().replace("Perhaps 1.", "Surely 1."))
    told = refused([*words, "m"], capsys, monkeypatch)
    assert "another question, context or answer under id 1" in told
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["score", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["score", "r.jsonl", "--out", "r.txt"], "got 'r.txt', allowed are files of type .json and .md"),
        (["score", "r.jsonl", "r.jsonl"], "got this file twice"),
        (["judge", "--out", "r.txt"], "got 'r.txt', allowed is a file of type .jsonl"),
        (["judge", "--out", "r.jsonl"], "got both or none of --model and --local"),
    ],
)
def test_bad_input_is_one_line(files, words, problem, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    more = files if words[0] == "judge" else []
    assert problem in refused([*words, *more], capsys, monkeypatch)


def test_runs_of_a_judge_are_averaged_and_written(files: list[str], tmp_path: Path, chat_server) -> None:
    leads = iter(range(100))
    server = chat_server(lambda messages: judging(messages, lead=next(leads) // 12))
    outs = [tmp_path / f"run{i}.jsonl" for i in (1, 2, 3)]
    for out in outs:
        judge(files, server.url, out, "--concurrency", "1")
    given = [*outs, "--questions", tmp_path / "questions.jsonl"]
    told = score(*given, "--out", tmp_path / "score.md").stdout
    assert "mean of the 3 runs above" in told
    assert "Intervals are 95 % bootstrap intervals over images." in told
    assert "another wording" in " ".join(told.split())
    assert max(len(line) for line in told.splitlines() if not line.startswith("written: ")) <= 80
    markdown = (tmp_path / "score.md").read_text()
    assert markdown.count("| category | relative |") == 3
    assert "**Published, LLaVA-Bench (In-the-Wild)**" in markdown
    score(*given, "--out", tmp_path / "score.json")
    [candidate] = json.loads((tmp_path / "score.json").read_text())["candidates"]
    good = [merit(f"Right, {i}.") for i in range(12)]
    tried = [merit(f"Perhaps {i}.") for i in range(12)]
    each = [100 * sum(tried) / (sum(good) + 12 * lead) for lead in (0, 1, 2)]
    assert candidate["mean"]["all"]["relative"]["value"] == pytest.approx(sum(each) / 3)
    assert candidate["mean"]["all"]["highest"] == pytest.approx(each[0])


def test_the_published_bug_is_an_option(files: list[str], tmp_path: Path, chat_server) -> None:
    server = chat_server(
        lambda messages: "No." if "Question 3?" in messages[-1]["content"] else judging(messages)
    )
    out = tmp_path / "reviews.jsonl"
    judge(files, server.url, out)
    good = [merit(f"Right, {i}.") for i in range(12) if i != 3]
    tried = [merit(f"Perhaps {i}.") for i in range(12) if i != 3]
    for words, minus in (((), 0), (("--failures-as-minus-one",), 1)):
        [run] = json.loads(score(out, *words, "--json").stdout)["candidates"][0]["runs"]
        assert run["scores"]["all"]["relative"]["value"] == pytest.approx(
            100 * (sum(tried) - minus) / (sum(good) - minus)
        )
        assert run["scores"]["all"]["n_failed"] == 1


def test_a_judge_that_never_keeps_to_the_format(files: list[str], tmp_path: Path, chat_server) -> None:
    server = chat_server(lambda _: "Both answers are good.")
    out = tmp_path / "reviews.jsonl"
    assert "24 without scores" in judge(files, server.url, out, "--swap").stderr
    told = score(out, "--questions", tmp_path / "questions.jsonl").stdout
    [row] = [line.split() for line in told.splitlines() if line.strip().startswith("all")]
    assert row == ["all", "-", "-", "-", "-", "0", "12"]
    [run] = json.loads(score(out, "--json").stdout)["candidates"][0]["runs"]
    assert (run["n_failed"], run["position_bias"]) == (24, None)
    assert run["scores"]["all"]["relative"] is None


def test_a_local_model_judges(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The options reach the backend in this process, which is asked in batches."""

    class Local:
        batch_size = 5

        def __init__(self, checkpoint: str, *, device: str | None, dtype: str | None, seed: int) -> None:
            self.name = f"{checkpoint} on {device} in {dtype}, seed {seed}"

        def n_tokens(self, messages: Sequence[Message]) -> int:
            return len(messages)

        def reply(self, requests: Sequence[Request]) -> list[Reply]:
            assert len(requests) <= self.batch_size
            texts = [judging([{"content": each.messages[-1].text}]) for each in requests]
            return [
                Reply(text=text, finish="stop", n_prompt_tokens=2, n_completion_tokens=9) for text in texts
            ]

    monkeypatch.setattr("llava_core.inference.local_chat.LocalBackend", Local)
    out = tmp_path / "reviews.jsonl"
    words = ["--local", "some/model", "--device", "cpu", "--dtype", "float32", "--out", str(out)]
    ended = CliRunner().invoke(app, ["bench", "judge", *files, *words])
    assert ended.exit_code == 0, ended.output
    reviews = read(out)
    assert {each["judge"] for each in reviews} == {"some/model on cpu in float32, seed 0"}
    assert [each["tuple"] for each in reviews] == [
        [merit(f"Right, {i}."), merit(f"Perhaps {i}.")] for i in range(12)
    ]
