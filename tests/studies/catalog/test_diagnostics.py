from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llava_core.data.example import Example
from studies.catalog import diagnostics
from studies.catalog.scoring import Scorer
from studies.predictions import build_predictions

N = 40


def predicted(method: str, prob_right: list[float]) -> pd.DataFrame:
    """Questions of two options, the first right with the given probability."""
    ids = [f"q{i // 2}" for i in range(2 * len(prob_right))]
    flat = [p for right in prob_right for p in (right, 1 - right)]
    return build_predictions(
        method, example_ids=ids, option_index=[0, 1] * len(prob_right), y=[1, 0] * len(prob_right), prob=flat
    )


def chosen(method: str, right: list[int]) -> pd.DataFrame:
    ids = [f"q{i // 2}" for i in range(2 * len(right))]
    flat = [share for one in right for share in (one, 1 - one)]
    return build_predictions(
        method, example_ids=ids, option_index=[0, 1] * len(right), y=[1, 0] * len(right), chosen=flat
    )


@pytest.fixture
def scorer(make_example: Callable[..., Example]) -> Scorer:
    rng = np.random.default_rng(0)
    tables = [
        predicted("xgboost", rng.uniform(0.2, 0.99, N).tolist()),
        predicted("stacking", rng.uniform(0.4, 0.99, N).tolist()),
        chosen("llm:x", [int(i % 3 > 0) for i in range(N)]),
    ]
    examples = [
        make_example(f"q{i}", options=("a", "b"), has_image=i < 10, group=f"f{i // 2}") for i in range(N)
    ]
    return Scorer(
        predictions=pd.concat(tables, ignore_index=True),
        examples=tuple(examples),
        level=0.9,
        n_boot=50,
        seed=0,
    )


def record(name: str, kind: str, scorer: Scorer, **changes: Any) -> dict[str, Any]:
    facts = {"status": "ok", "fit_s": 1.0, "predict_s": 0.1, "weights": None}
    return {"name": name, "kind": kind, **facts, "accuracy": scorer.accuracy(name), **changes}


@pytest.fixture
def methods(scorer: Scorer) -> list[dict[str, Any]]:
    return [
        record("xgboost", "ladder", scorer),
        record("stacking", "stack", scorer, fit_s=3.0, weights={"xgboost": [1.0], "sum_logprob": [0.2]}),
        record("llm:x", "llm", scorer, fit_s=None, predict_s=None),
    ]


def test_bins_add_up_to_the_accuracy_and_methods_that_only_choose_have_none(
    scorer: Scorer, methods: list[dict[str, Any]]
) -> None:
    found = diagnostics.calibration(scorer, methods)
    assert [row["method"] for row in found] == ["xgboost", "stacking"]
    for row, method in zip(found, methods, strict=False):
        bins = row["bins"]
        assert sum(b["accuracy"]["n"] for b in bins) == N
        mean = sum(b["accuracy"]["n"] * b["accuracy"]["value"] for b in bins) / N
        assert mean == pytest.approx(method["accuracy"]["value"])
        sure = sum(b["accuracy"]["n"] * b["confidence"] for b in bins) / N
        assert row["overconfidence"] == pytest.approx(sure - mean)
        assert all(b["accuracy"]["level"] == 0.9 for b in bins)


def test_curves_end_at_the_error_of_all_questions(scorer: Scorer, methods: list[dict[str, Any]]) -> None:
    for row, method in zip(diagnostics.risk_coverage(scorer, methods), methods, strict=False):
        assert row["points"][-1] == [1.0, pytest.approx(1 - method["accuracy"]["value"])]


def test_complementarity_agrees_with_the_paired_comparison(
    scorer: Scorer, methods: list[dict[str, Any]]
) -> None:
    found = diagnostics.complementarity(scorer, methods)
    assert found is not None
    assert len(found["pairs"]) == 3
    for pair in found["pairs"]:
        (compared,) = scorer.comparisons([(pair["a"], pair["b"])])
        assert (pair["a_only"], pair["b_only"]) == (compared["gains"], compared["losses"])
        assert pair["either"] == pytest.approx(1 - pair["both_wrong"] / N)
    assert found["oracle"]["value"] == pytest.approx(1 - found["all_wrong"] / N)
    assert found["oracle"]["value"] >= max(pair["either"] for pair in found["pairs"])


def test_failed_methods_and_a_single_one_have_no_overlap(
    scorer: Scorer, methods: list[dict[str, Any]]
) -> None:
    alone = [methods[0], {**methods[1], "status": "failed"}]
    assert diagnostics.complementarity(scorer, alone) is None
    assert len(diagnostics.calibration(scorer, alone)) == 1


def test_a_stack_costs_what_its_members_cost_too(methods: list[dict[str, Any]]) -> None:
    fronts = {front["cost"]: front["points"] for front in diagnostics.cost_fronts(methods)}
    assert [(p["method"], p["cost"]) for p in fronts["predict_s"]] == [
        ("xgboost", 0.1),
        ("stacking", pytest.approx(0.2)),
    ]
    assert [p["cost"] for p in fronts["fit_s"]] == [1.0, 3.0]
    better = methods[1]["accuracy"]["value"] > methods[0]["accuracy"]["value"]
    assert [p["on_front"] for p in fronts["fit_s"]] == [True, better]


def test_importance_is_what_the_shuffles_lose_on_average(
    scorer: Scorer, make_example: Callable[..., Example]
) -> None:
    base = scorer.scores("xgboost").credit
    right = [0.9 if credit == 1 else 0.1 for credit in base]
    spoiled = [[0.1, *right[1:]], [0.1, 0.1, *right[2:]]]
    names = ["xgboost[b shuffled, 0]", "xgboost[b shuffled, 1]"]
    tables = [predicted(name, probs) for name, probs in zip(names, spoiled, strict=True)]
    shuffled = Scorer(
        predictions=pd.concat(tables, ignore_index=True),
        examples=scorer.examples,
        level=0.9,
        n_boot=50,
        seed=0,
    )
    rows = [{"method": "xgboost", "block": "b", "blocks": ["b"], "names": names}]
    (found,) = diagnostics.importance(scorer, shuffled, rows)
    assert found["n_shuffles"] == 2
    want = (2 * base[0] + base[1]) / 2
    assert want > 0
    assert found["accuracy_lost"]["value"] == pytest.approx(want / N)
    assert found["accuracy_lost_with_image"]["value"] == pytest.approx(want / 10)
    assert found["accuracy_lost_with_image"]["n"] == 10
    losses = [shuffled.scores(name).log_loss for name in names]
    assert losses[0] is not None
    own = scorer.scores("xgboost").log_loss
    assert own is not None
    assert found["log_loss_gained"]["value"] == pytest.approx(float(np.mean(losses) - own.mean()))


def test_a_method_that_always_takes_the_first_place_is_biased_towards_it(
    make_example: Callable[..., Example],
) -> None:
    answers = [0, 1, 1, 0, 1, 0, 1, 1]
    frame = pd.concat(
        [
            build_predictions(
                name,
                example_ids=[f"q{i // 2}" for i in range(16)],
                option_index=[0, 1] * 8,
                y=[int(answers[i // 2] == i % 2) for i in range(16)],
                chosen=[share for i in range(8) for share in of(i)],
            )
            for name, of in (
                ("first", lambda i: (1, 0)),
                ("key", lambda i: (1 - answers[i], answers[i])),
                ("silent", lambda i: (0, 0)),
            )
        ],
        ignore_index=True,
    )
    examples = [make_example(f"q{i}", options=("a", "b"), answer=answers[i]) for i in range(8)]
    score = Scorer(predictions=frame, examples=tuple(examples), level=0.9, n_boot=20, seed=0)
    found = diagnostics.positions(score, [{"name": n, "status": "ok"} for n in ("first", "key", "silent")])
    assert found["right"] == [3, 5]
    assert [row["chosen"] for row in found["methods"]] == [[8, 0], [3, 5], [0, 0]]
    assert [row["distance"] for row in found["methods"]] == [5 / 8, 0, None]
