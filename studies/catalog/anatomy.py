"""What an ensemble is made of: stacks without each member, methods with each block shuffled [edge].

Level 1 is cheap to fit again on the out-of-fold predictions that the run holds, so every member is left out
once. Permutation importance shuffles a block among the test questions and fits nothing: what is lost is
what the fitted method takes from the block, which others may replace where it is fitted without (the
ablation by block). Left out: stacks on published answers, whose models are nested in the questions they are
scored on.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.catalog.curves import ABLATED
from studies.catalog.ground import LLAVA_BLOCKS, MEMBERS_BLOCK, Encoded, Ground, file_name
from studies.catalog.saved import SavedMethod, read_method
from studies.catalog.stacks import LIKELIHOODS_BLOCK, StackPlan, fit_stack, with_likelihoods
from studies.design import OptionTable
from studies.files import file_hash
from studies.predictions import build_predictions, read_predictions, write_predictions
from studies.progress import Progress
from studies.rundir import Facts, RunDir
from studies.stats import donor_rows

N_SHUFFLES = 3
IMAGE_BLOCKS = ("clip_image", "clip_similarity")
"""Blocks that see the image without LLaVA."""
TOGETHER: Mapping[str, Sequence[str]] = {"image": IMAGE_BLOCKS, "LLaVA": LLAVA_BLOCKS}
"""Blocks that are shuffled together too: one of them can stand in for another."""
Predict = Callable[[NDArray[np.int64], Sequence[str]], NDArray[np.float64]]
"""Probabilities (n_rows,) with some blocks taken from donor rows."""


def ablate_members(
    ground: Ground, plans: Sequence[StackPlan], methods: Mapping[str, Facts], progress: Progress
) -> list[Facts]:
    """Fit level 1 without each member and predict; greedy selections, which choose, are left as they are."""
    wanted = [
        (plan, member.name)
        for plan in plans
        if plan.joined_by == "logit" and methods[plan.name]["status"] == "ok" and len(plan.members) > 1
        for member in plan.members
    ]
    if not wanted:
        return []
    tick = progress.stage("stacks without each member")
    rows = []
    for place, (plan, member) in enumerate(wanted):
        name = f"{plan.name}[without {member}]"
        facts = fit_stack(ground, plan.without(member, name=name), save=False)
        if facts["status"] == "ok":
            rows.append({"method": plan.name, "without": member, "name": name + ground.tag})
        tick(place + 1, len(wanted))
    return rows


def shuffle_blocks(
    ground: Ground,
    encoded: Encoded,
    plans: Sequence[StackPlan],
    methods: Mapping[str, Facts],
    progress: Progress,
) -> list[Facts]:
    """Predict the test questions with blocks shuffled; the last stack and XGBoost, with LLaVA where it is.

    Returns
    -------
    list of mapping
        ``method``, ``block``, ``blocks`` and ``names`` of the predictions; `importance_predictions` reads
        them.
    """
    by_name = {plan.name: plan for plan in plans if plan.joined_by == "logit"}
    told = [name for name in (ABLATED, f"{ABLATED}_with_llava", *list(by_name)[-1:]) if name in methods]
    told = [name for name in told if methods[name]["status"] == "ok"]
    rows: list[Facts] = []
    for name in told:
        seen = _blocks_of(ground, encoded, name, by_name.get(name))
        groups = {block: [block] for block in seen}
        for title, blocks in TOGETHER.items():
            held = [block for block in blocks if block in seen]
            groups |= {title: held} if len(held) > 1 else {}
        _shuffle(ground, encoded, name, by_name.get(name), groups, progress)
        rows += [
            {
                "method": name,
                "block": title,
                "blocks": blocks,
                "names": [_shuffled(name, title, k) for k in range(N_SHUFFLES)],
            }
            for title, blocks in groups.items()
        ]
    return rows


def importance_predictions(run: RunDir, rows: Sequence[Facts]) -> pd.DataFrame | None:
    """Return the predictions with blocks shuffled, which `shuffle_blocks` wrote; None without any."""
    names = list(dict.fromkeys(row["method"] for row in rows))
    tables = [read_predictions(run.path / _place(name)) for name in names]
    return pd.concat(tables, ignore_index=True) if tables else None


def _shuffle(
    ground: Ground,
    encoded: Encoded,
    name: str,
    plan: StackPlan | None,
    groups: Mapping[str, Sequence[str]],
    progress: Progress,
) -> None:
    tick = progress.stage(f"shuffle blocks of {name}")

    def do() -> Facts:
        test = ~ground.is_val
        rows, matrix = ground.scored.take(test), np.asarray(encoded.scored)[test]
        if plan is None:
            predict = _of_member(ground.run.path, name, encoded, rows, matrix)
        else:
            predict = _of_stack(ground.run.path, plan, encoded, rows, matrix)
        tables = []
        for place, (title, blocks) in enumerate(groups.items()):
            for k in range(N_SHUFFLES):
                donor = donor_rows(rows.questions, np.random.default_rng([ground.spec.seed, 2, k]))
                tables.append(
                    build_predictions(
                        _shuffled(name, title, k),
                        example_ids=rows.example_ids,
                        option_index=rows.option_index,
                        y=rows.y,
                        prob=predict(donor, blocks),
                        seed=ground.spec.seed,
                    )
                )
            tick(place + 1, len(groups))
        write_predictions(pd.concat(tables, ignore_index=True), ground.run.path / _place(name))
        return {}

    inputs: dict[str, Any] = {
        "groups": {title: list(blocks) for title, blocks in groups.items()},
        # Another fit of the method predicts otherwise.
        "predicted": file_hash(ground.run.path / ground.place("steps", name, ".parquet")),
    }
    ground.step(f"importance.{name}", do, outputs=[_place(name)], method=name, n=N_SHUFFLES, **inputs)


def _of_member(
    run_path: Path, name: str, encoded: Encoded, rows: OptionTable, matrix: NDArray[np.float32]
) -> Predict:
    fitted = read_method(run_path, name)

    def predict(donor: NDArray[np.int64], blocks: Sequence[str]) -> NDArray[np.float64]:
        return fitted.predict_encoded(_lent(encoded, matrix, donor, blocks), rows.questions)

    return predict


def _of_stack(
    run_path: Path, plan: StackPlan, encoded: Encoded, rows: OptionTable, matrix: NDArray[np.float32]
) -> Predict:
    joined = read_method(run_path, plan.name)
    members = {member.name: read_method(run_path, member.name) for member in plan.members}
    whole = {name: fitted.predict_encoded(matrix, rows.questions) for name, fitted in members.items()}
    has_likelihoods = plan.with_llava and "option_logprob" in rows.frame
    plain = with_likelihoods(rows) if has_likelihoods else rows

    def predict(donor: NDArray[np.int64], blocks: Sequence[str]) -> NDArray[np.float64]:
        lent = _lent(encoded, matrix, donor, blocks)
        probs = {
            name: fitted.predict_encoded(lent, rows.questions)
            if _sees(fitted, encoded, blocks)
            else whole[name]
            for name, fitted in members.items()
        }
        frame = plain.with_columns(MEMBERS_BLOCK, probs).frame
        if has_likelihoods and "option_logprob" in blocks:
            likelihoods = plain.blocks[LIKELIHOODS_BLOCK]
            frame = frame.assign(**{column: frame[column].to_numpy()[donor] for column in likelihoods})
        return joined.predict(frame, rows.questions)

    return predict


def _lent(
    encoded: Encoded, matrix: NDArray[np.float32], donor: NDArray[np.int64], blocks: Sequence[str]
) -> NDArray[np.float32]:
    """Return the matrix with the columns of some blocks taken from the donor rows."""
    lent, columns = matrix.copy(), encoded.columns(blocks)
    lent[:, columns] = matrix[donor][:, columns]
    return lent


def _sees(fitted: SavedMethod, encoded: Encoded, blocks: Sequence[str]) -> bool:
    columns = fitted.needs.columns
    return columns is None or bool(np.isin(encoded.columns(blocks), columns).any())


def _blocks_of(ground: Ground, encoded: Encoded, name: str, plan: StackPlan | None) -> list[str]:
    """Return the blocks that a method, or a member of it, sees."""
    names = [name] if plan is None else [member.name for member in plan.members]
    fitted = [read_method(ground.run.path, member) for member in names]
    return [block for block in ground.blocks if any(_sees(one, encoded, [block]) for one in fitted)]


def _shuffled(name: str, title: str, k: int) -> str:
    return f"{name}[{title} shuffled, {k}]"


def _place(name: str) -> str:
    return f"steps/importance.{file_name(name)}.parquet"
