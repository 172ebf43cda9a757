"""Methods as steps, on a ground of a few questions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llava_core.data.example import Example
from llava_core.errors import InputError
from studies.catalog.baselines import fit_baselines
from studies.catalog.ground import Ground, encode, encode_question_only, gather_predictions, lay_ground
from studies.catalog.ladder import chance, fit_member, try_method
from studies.catalog.protocol import Protocol
from studies.catalog.saved import read_method
from studies.rundir import Facts, RunDir
from studies.spec.base import resolve
from studies.spec.ensemble import EnsembleSpec


def fit(ground: Ground, name: str = "decision_tree") -> Facts:
    encoded = encode(ground)
    return fit_member(ground, encoded, name, member="decision_tree", params={}, blocks=ground.blocks)


def test_the_ground_predicts_val_apart_from_test(ground: Ground) -> None:
    assert len(set(ground.scored.example_ids[ground.is_val])) == 10
    assert len(set(ground.scored.example_ids[~ground.is_val])) == 20
    assert sorted(np.unique(ground.fold_of_rows)) == [0, 1]


def test_a_method_is_fitted_once_and_predicts_the_same_from_disk(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = fit(ground)
    assert facts["status"] == "ok"
    saved = read_method(ground.run.path, "decision_tree").predict(
        ground.scored.frame, ground.scored.questions
    )
    frame = gather_predictions(ground.run, ["decision_tree"])
    assert np.abs(frame["prob"].to_numpy() - saved).max() < 1e-12
    monkeypatch.setattr("studies.catalog.ladder.MEMBERS", {})
    assert fit(ground) == facts


def test_a_method_that_fails_is_kept_and_scored_as_chance(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.catalog.ladder.MEMBERS", {})
    facts = fit(ground)
    assert facts["status"] == "failed"
    assert "KeyError" in facts["error"]
    frame = gather_predictions(ground.run, ["decision_tree"])
    assert np.allclose(frame["prob"], chance(ground))
    with pytest.raises(InputError, match="the run saved no model"):
        read_method(ground.run.path, "decision_tree")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), InputError("bad file")])
def test_a_full_disk_is_no_failure_of_a_method(error: Exception, ground: Ground) -> None:
    def do() -> Facts:
        raise error

    with pytest.raises(type(error)):
        try_method(ground, "decision_tree", do)
    assert not (ground.run.path / "steps" / "decision_tree.parquet").exists()


def test_a_torn_model_is_refused(ground: Ground) -> None:
    fit(ground)
    file = ground.run.path / "models" / "decision_tree" / "model" / "model.skops"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="not whole"):
        read_method(ground.run.path, "decision_tree")


def test_chance_and_position_need_no_features(ground: Ground) -> None:
    assert set(fit_baselines(ground)) == {"majority_position", "chance"}
    frame = gather_predictions(ground.run, ["chance", "majority_position"])
    assert frame.groupby(["method", "example_id"])["prob"].sum().to_numpy() == pytest.approx(1)


def test_question_only_does_not_read_what_is_told_of_the_image(
    make_example: Callable[..., Example], tmp_path: Path
) -> None:
    def questions(part: str, n: int) -> tuple[Example, ...]:
        return tuple(
            make_example(
                f"{part}{i}", options=("red", "blue"), answer=i % 2, split=part, group=f"{part}{i}",
                caption=("red", "blue")[i % 2],
            )
            for i in range(n)
        )  # fmt: skip

    test = questions("test", 20)
    protocol = Protocol(
        name="own", told="", evaluated_on="", train=questions("train", 40), val=(), test=test, headline=test
    )
    spec = resolve(EnsembleSpec, "ensemble_vs_llm", preset="quick")
    ground = lay_ground(spec, RunDir(path=tmp_path), protocol, fingerprint="f")
    all_told = encode(ground)
    blind = encode_question_only(ground, all_told)

    def best(matrix: np.ndarray) -> float:
        right, known = ground.fitted.y == 1, np.nan_to_num(matrix)
        varied = known[:, known.std(axis=0) > 1e-6]
        return max(abs(float(np.corrcoef(column, right)[0, 1])) for column in varied.T)

    assert best(all_told.fitted) > 0.95
    assert best(blind.fitted) < 0.6


def test_another_ground_is_another_key(ground: Ground) -> None:
    fit(ground)
    calls = list[str]()

    def do() -> Facts:
        calls.append("fitted")
        raise RuntimeError

    other = replace(ground, key={**ground.key, "data": "other"})
    assert try_method(other, "decision_tree", do)["status"] == "failed"
    assert calls == ["fitted"]
