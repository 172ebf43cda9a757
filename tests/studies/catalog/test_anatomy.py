from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from studies.catalog.anatomy import N_SHUFFLES, ablate_members, importance_predictions, shuffle_blocks
from studies.catalog.folds import encode_ground_folds
from studies.catalog.ground import Encoded, Ground, encode, gather_predictions
from studies.catalog.ladder import fit_member, predict_out_of_fold
from studies.catalog.scoring import question_scores
from studies.catalog.stacks import Level0, StackPlan, fit_stack
from studies.progress import Progress, shown
from studies.rundir import Facts

MEMBERS = ("xgboost", "linear")
SMALL = {"xgboost": {"n_estimators": 20}, "linear": {}}


@pytest.fixture
def progress() -> Progress:
    with shown(Console(quiet=True)) as found:
        return found


@pytest.fixture
def fitted(ground: Ground) -> tuple[Encoded, StackPlan, dict[str, Facts]]:
    encoded = encode(ground)
    folds = encode_ground_folds(ground, ground.folds)
    methods, members = {}, []
    for name in MEMBERS:
        methods[name] = fit_member(
            ground, encoded, name, member=name, params=SMALL[name], blocks=ground.blocks
        )
        prob, seconds = predict_out_of_fold(
            ground, name, lambda: folds, member=name, params=SMALL[name], blocks=ground.blocks
        )
        members.append(Level0(name=name, oof_prob=prob, seconds=seconds, size_bytes=0))
    plan = StackPlan(name="stacking", members=members)
    methods["stacking"] = fit_stack(ground, plan)
    assert {facts["status"] for facts in methods.values()} == {"ok"}
    return encoded, plan, methods


def test_a_stack_without_a_member_is_the_stack_of_the_others(
    ground: Ground, fitted: tuple[Encoded, StackPlan, dict[str, Facts]], progress: Progress
) -> None:
    _, plan, methods = fitted
    greedy = StackPlan(name="greedy_selection", members=plan.members, joined_by="greedy")
    rows = ablate_members(ground, [greedy, plan], {**methods, "greedy_selection": {"status": "ok"}}, progress)
    assert [(row["method"], row["without"]) for row in rows] == [("stacking", name) for name in MEMBERS]
    alone = StackPlan(name="alone", members=[plan.members[1]])
    fit_stack(ground, alone, save=False)
    got = gather_predictions(ground.run, [rows[0]["name"]])["prob"]
    want = gather_predictions(ground.run, ["alone"])["prob"]
    assert np.allclose(got, want)
    assert not np.allclose(got, gather_predictions(ground.run, ["stacking"])["prob"])
    assert not (Path(ground.run.path) / "models" / "stacking_without_xgboost_").exists()


def test_the_block_that_names_the_answer_is_the_one_that_is_missed(
    ground: Ground, fitted: tuple[Encoded, StackPlan, dict[str, Facts]], progress: Progress
) -> None:
    encoded, plan, methods = fitted
    rows = shuffle_blocks(ground, encoded, [plan], methods, progress)
    frame = importance_predictions(ground.run, rows)
    assert frame is not None
    assert {row["method"] for row in rows} == {"xgboost", "stacking"}
    # Questions of val are neither predicted nor lent from.
    ids = sorted(set(ground.scored.example_ids[~ground.is_val].tolist()))
    assert sorted(set(frame["example_id"])) == ids
    plain = gather_predictions(ground.run, ["xgboost", "stacking"])
    lost: dict[tuple[str, str], float] = {}
    for row in rows:
        assert len(row["names"]) == N_SHUFFLES
        own = question_scores(plain[plain["method"] == row["method"]], ids).credit.mean()
        left = [question_scores(frame[frame["method"] == name], ids).credit.mean() for name in row["names"]]
        lost[row["method"], row["block"]] = float(own - np.mean(left))
    for method in ("xgboost", "stacking"):
        assert max(lost, key=lambda key: lost[key] if key[0] == method else -1) == (method, "overlap")
        assert lost[method, "overlap"] > 0.3


def test_lending_to_oneself_changes_nothing(
    ground: Ground,
    fitted: tuple[Encoded, StackPlan, dict[str, Facts]],
    progress: Progress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded, plan, methods = fitted
    monkeypatch.setattr(
        "studies.catalog.anatomy.donor_rows", lambda questions, rng: np.arange(len(questions))
    )
    rows = shuffle_blocks(ground, encoded, [plan], methods, progress)
    frame = importance_predictions(ground.run, rows)
    assert frame is not None
    for row in rows:
        plain = gather_predictions(ground.run, [row["method"]])
        both = plain.merge(
            frame[frame["method"] == row["names"][0]], on=["example_id", "option_index"], how="right"
        )
        assert np.allclose(both["prob_x"], both["prob_y"], atol=1e-6)
