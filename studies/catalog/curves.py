"""Accuracy and fit time against M, and the ablation by block: tuned methods with one thing changed [edge]."""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.catalog.ground import Encoded, Ground, blocks_without_llava
from studies.catalog.ladder import fit_member
from studies.progress import Progress
from studies.rundir import Facts

CURVES = (
    ("random_forest", "n_trees", "n_estimators", "curve_trees"),
    ("xgboost", "n_trees", "n_estimators", "curve_trees"),
    ("forest_of_xgboost", "n_xgb", "n_members", "curve_xgbs"),
)
"""Member, what M counts, its parameter, the setting that lists the values."""
ABLATED = "xgboost"


def fit_curves(
    ground: Ground,
    encoded: Encoded,
    params: Mapping[str, Mapping[str, Any]],
    progress: Progress,
    *,
    blocks: Sequence[str],
) -> list[dict[str, Any]]:
    """Refit members of the ladder with M trees, rounds or XGBoosts, all else as tuned."""
    curves = []
    for member, counts, parameter, setting in CURVES:
        if member not in params:
            continue
        values = getattr(ground.spec, setting)
        tick = progress.stage(f"curve of {member}")
        points = []
        for place, m in enumerate(values):
            name = f"{member}[M={m}]"
            facts = fit_member(
                ground,
                encoded,
                name,
                member=member,
                params={**params[member], parameter: m},
                blocks=blocks,
                save=False,
            )
            if facts["status"] == "ok":
                points.append({"m": m, "name": name + ground.tag, "fit_s": facts["fit_s"]})
            tick(place + 1, len(values))
        if points:
            curves.append({"method": member, "x": counts, "points": points})
    return curves


def ablate(ground: Ground, encoded: Encoded, params: Mapping[str, Any], progress: Progress) -> list[Facts]:
    """Refit XGBoost without each block: of those without LLaVA, and of all where there are LLaVA's."""
    without_llava = blocks_without_llava(ground)
    tables = {ABLATED: without_llava}
    if len(without_llava) < len(ground.blocks):
        tables[f"{ABLATED}_with_llava"] = ground.blocks
    wanted = [(method, blocks, block) for method, blocks in tables.items() for block in blocks]
    tick = progress.stage("ablation by block")
    rows = []
    for place, (method, blocks, block) in enumerate(wanted):
        name = f"{method}[without {block}]"
        facts = fit_member(
            ground,
            encoded,
            name,
            member=ABLATED,
            params=params,
            blocks=[other for other in blocks if other != block],
            save=False,
        )
        if facts["status"] == "ok":
            rows.append({"method": method, "without": block, "name": name + ground.tag})
        tick(place + 1, len(wanted))
    return rows
