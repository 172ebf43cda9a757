"""Re-scores the reviews that were published for LLaVA-1.5, three runs of the judge per model."""

from dataclasses import replace
from pathlib import Path

import pytest

from llava_core.evaluation.llava_bench.prompt import read_scores
from llava_core.evaluation.llava_bench.reviews import read_reviews
from llava_core.evaluation.llava_bench.summary import summarise

RUNS = {
    "llava-v1.5-7b": (64.75, 65.33, 66.35),
    "llava-v1.5-13b": (72.83, 72.74, 72.07),
}
MEANS = {  # conv, detail, complex, over three runs; and the figure that was published
    "llava-v1.5-7b": (59.1, 49.0, 78.7, 65.4),
    "llava-v1.5-13b": (74.0, 51.6, 83.3, 72.5),
}


@pytest.mark.parametrize("model", RUNS)
def test_each_run_and_their_mean(llava_bench_dir: Path, model: str) -> None:
    files = [llava_bench_dir / f"wild_reviews_{model}-eval{run}.jsonl" for run in (1, 2, 3)]
    [candidate] = summarise({file: read_reviews(file) for file in files})["candidates"]
    assert candidate["set"] == "wild"
    found = [run["scores"]["all"]["relative"]["value"] for run in candidate["runs"]]
    assert found == pytest.approx(RUNS[model], abs=0.05)
    counts = [{name: score["n"] for name, score in run["scores"].items()} for run in candidate["runs"]]
    assert counts == [{"conv": 17, "detail": 15, "complex": 28, "all": 60}] * 3
    assert [run["n_failed"] for run in candidate["runs"]] == [0, 0, 0]
    means = [candidate["mean"][name]["relative"]["value"] for name in ("conv", "detail", "complex", "all")]
    assert means == pytest.approx(MEANS[model], abs=0.11)


def test_two_models_are_two_candidates(llava_bench_dir: Path) -> None:
    files = sorted(llava_bench_dir.glob("wild_reviews_*.jsonl"))
    assert len(files) == 6
    told = summarise({file: read_reviews(file) for file in files})
    assert [len(candidate["runs"]) for candidate in told["candidates"]] == [3, 3]
    assert list(told["published"]) == ["wild"]
    [difference] = told["differences"]
    # Each candidate's own interval holds the other's figure; the paired one is clear of 0.
    points = difference["scores"]["all"]
    first, second = (candidate["mean"]["all"]["relative"] for candidate in told["candidates"])
    assert points["value"] == pytest.approx(second["value"] - first["value"])
    assert (points["low"] > 0) == (points["high"] > 0)
    assert points["high"] - points["low"] < 0.75 * (first["high"] - first["low"])


def test_reviews_of_other_judges_or_questions_are_not_compared(llava_bench_dir: Path) -> None:
    one, other = (read_reviews(llava_bench_dir / f"wild_reviews_{model}-eval1.jsonl") for model in RUNS)
    others = [replace(review, settings="another judge") for review in other]
    for changed in (others, other[1:]):
        assert summarise({Path("a.jsonl"): one, Path("b.jsonl"): changed})["differences"] == []


def test_our_reader_of_scores_agrees_with_the_published_one(llava_bench_dir: Path) -> None:
    reviews = [each for file in llava_bench_dir.glob("wild_reviews_*.jsonl") for each in read_reviews(file)]
    assert len(reviews) == 360
    assert [read_scores(review.content) for review in reviews] == [review.scores for review in reviews]
