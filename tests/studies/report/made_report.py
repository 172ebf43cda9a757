"""A summary of `ensemble_vs_llm` and what `studies compare` finds, as they write it; figures invented."""

import random

RNG_SEED = 3
METHODS = (
    ("stacking_with_llava", "Stacking with LLaVA", "stack", 0.801),
    ("stacking", "Stacking", "stack", 0.752),
    ("forest_of_xgboost", "Forest of XGBoosts", "ladder", 0.741),
    ("lightgbm", "LightGBM", "ladder", 0.738),
    ("xgboost", "XGBoost", "ladder", 0.736),
    ("random_forest", "Random forest", "ladder", 0.727),
    ("llava", "LLaVA", "llm", 0.702),
    ("decision_tree", "Decision tree", "ladder", 0.655),
    ("question_only", "Question only", "ablation", 0.452),
    ("majority_position", "Majority position", "baseline", 0.341),
    ("chance", "Chance", "baseline", 0.334),
)
SKILLS = (
    "magnet pair", "solution concentration", "thermometer", "food web", "map direction", "bar chart",
    "punnett square", "particle speed", "circuit", "common property", "counting", "ruler",
    "plural nouns", "synonyms", "rhymes",
)  # fmt: skip


def estimate(value, half, n=1200):
    return {
        "value": value,
        "low": value - half * 1.02,
        "high": value + half * 0.97 if value > 0.95 else min(1.0, value + half * 0.97),
        "level": 0.95,
        "n": n,
    }


def method_record(index, name, label, kind, accuracy):
    chooses_only = name in ("majority_position",)
    return {
        "name": name,
        "label": label,
        "kind": kind,
        "status": "ok",
        "error": None,
        "accuracy": estimate(accuracy, 0.0263 + 0.0007 * index),
        "log_loss": None if chooses_only else estimate(0.48371 + 0.0612 * index, 0.0414),
        "brier": None if chooses_only else estimate(0.27113 + 0.0313 * index, 0.0217),
        "aurc": None if chooses_only else 0.05713 + 0.0124 * index,
        "augrc": None if chooses_only else 0.03519 + 0.0093 * index,
        "coverage_at_risk": None
        if chooses_only
        else {"0.01": 0.2 / (index + 1), "0.02": 0.3 / (index + 1), "0.05": 0.52 / (index + 1)},
        "fit_s": None if kind in ("llm", "baseline") else 1.372 * (index + 1),
        "predict_s": None if kind == "baseline" else 0.0213 * (index + 1),
        "size_bytes": None if kind in ("llm", "baseline") else 213_457 * (index + 1),
        "n_features": None if kind in ("llm", "baseline") else 211,
        "weights": {"xgboost": [0.71, 0.52], "sum_logprob": [0.08, 0.31]} if kind == "stack" else None,
    }


def comparison(a, b, value, half, gains, losses, p, p_holm):
    return {
        "a": a,
        "b": b,
        "difference": estimate(value, half),
        "mcnemar_p": p,
        "p_holm": p_holm,
        "gains": gains,
        "losses": losses,
        "n": 1200,
    }


def more_parts(shown, with_prob):
    """Parts that rest on single questions; all figures invented."""
    pairs = [
        {
            "a": a, "b": b, "both_right": 700 + i, "a_only": 180 - 7 * i, "b_only": 60 + 9 * i,
            "both_wrong": 260 - 3 * i, "error_ratio": 1.9 - 0.05 * i, "error_overlap": 0.52,
            "either": 0.78 + 0.004 * i,
        }
        for i, (a, b) in enumerate((a, b) for j, a in enumerate(shown) for b in shown[j + 1 :])
    ]  # fmt: skip
    blocks = ("clip_image", "overlap", "image")
    return {
        "calibration": [
            {
                "method": record["name"],
                "error": 0.02 + 0.011 * i,
                "overconfidence": 0.05 - 0.017 * i,
                "bins": [
                    {"confidence": 0.3 + 0.07 * k, "accuracy": estimate(0.26 + 0.071 * k, 0.05, 120)}
                    for k in range(10)
                ],
            }
            for i, record in enumerate(with_prob)
        ],
        "risk_coverage": [
            {
                "method": record["name"],
                "points": [[k / 40, 0.25 * (k / 40) ** 2 + 0.01 * i] for k in range(1, 41)],
            }
            for i, record in enumerate(with_prob)
        ],
        "positions": {
            "right": [400, 410, 390],
            "methods": [
                {
                    "method": name,
                    "chosen": [420.0 + 5 * i, 400.0, 380.0 - 5 * i],
                    "distance": 0.01 + 0.004 * i,
                }
                for i, name in enumerate(shown)
            ],
        },
        "complementarity": {
            "methods": [
                {"method": name, "alone_right": 9 - i, "alone_wrong": i} for i, name in enumerate(shown)
            ],
            "pairs": pairs,
            "oracle": estimate(0.913, 0.02),
            "all_wrong": 104,
        },
        "cost_fronts": [
            {
                "cost": cost,
                "points": [
                    {
                        "method": r["name"],
                        "cost": r[cost],
                        "accuracy": r["accuracy"]["value"],
                        "on_front": i % 3 == 0,
                    }
                    for i, r in enumerate(with_prob)
                    if r[cost]
                ],
            }
            for cost in ("fit_s", "predict_s")
        ],
        "anatomy": {
            "without_members": [
                {
                    "method": "stacking", "without": name,
                    "accuracy": estimate(0.74, 0.02), "difference": estimate(-0.011 + 0.004 * i, 0.006),
                }
                for i, name in enumerate(("xgboost", "random_forest", "lightgbm"))
            ],
            "importance": [
                {
                    "method": method, "block": block, "blocks": [block], "n_shuffles": 3,
                    "accuracy_lost": estimate(0.061 - 0.024 * i, 0.011),
                    "log_loss_gained": estimate(0.12 - 0.05 * i, 0.02),
                    "accuracy_lost_with_image": estimate(0.093 - 0.03 * i, 0.016, 750),
                }
                for method in ("xgboost", "stacking_with_llava")
                for i, block in enumerate(blocks)
            ],
        },
    }  # fmt: skip


def build_summary():
    """Summary of a run on the bundled data, as a study would write it; all figures invented."""
    rng = random.Random(RNG_SEED)
    records = [method_record(i, *row) for i, row in enumerate(METHODS)]
    comparisons = [
        comparison("stacking_with_llava", "llava", 0.0991, 0.0281, 183, 64, 1.7e-14, 1.2e-13),
        comparison("stacking_with_llava", "stacking", 0.0492, 0.0213, 121, 62, 1.4e-5, 8.3e-5),
        comparison("stacking", "llava", 0.0500, 0.0334, 209, 149, 0.00181, 0.0091),
        comparison("forest_of_xgboost", "xgboost", 0.0051, 0.0127, 48, 42, 0.598, 1.0),
        comparison("forest_of_xgboost", "llava", 0.0391, 0.0341, 201, 154, 0.0145, 0.058),
        comparison("llava", "decision_tree", 0.0472, 0.0366, 236, 179, 0.0059, 0.0234),
    ]
    slices = []
    for dimension, values in (
        ("subject", ("natural science", "social science", "language science")),
        ("image", ("image", "text only")),
        ("grade", ("grades 1-6", "grades 7-12")),
        ("skill", SKILLS),
    ):
        for value in values:
            n = rng.randint(40, 500)
            slices.append(
                {
                    "dimension": dimension,
                    "value": value,
                    "n": n,
                    "accuracy": {
                        name: estimate(min(0.97, max(0.1, acc + rng.uniform(-0.12, 0.12))), 1 / n**0.5, n)
                        for name, _, _, acc in METHODS[:8]
                    },
                }
            )
    curves = [
        {
            "method": method,
            "x": x,
            "points": [
                {
                    "m": m,
                    "accuracy": estimate(top - drop * (1 / m) ** 0.5, 0.027),
                    "fit_s": cost * m,
                }
                for m in ms
            ],
        }
        for method, x, ms, top, drop, cost in (
            ("random_forest", "n_trees", (1, 2, 5, 10, 20, 50, 100, 200, 400), 0.735, 0.12, 0.011),
            ("xgboost", "n_trees", (1, 2, 5, 10, 20, 50, 100, 200, 400), 0.745, 0.16, 0.007),
            ("forest_of_xgboost", "n_xgb", (1, 2, 4, 8, 16), 0.748, 0.03, 1.41),
        )
    ]
    question = (
        "Which of these statements about the strength of the magnetic force between the pairs is right?"
    )
    cards = [
        {
            "example_id": f"test-{index:05d}",
            "question": question if index % 2 else "What is the temperature shown by this thermometer?",
            "options": [
                "It is stronger in Pair 1.",
                "It is stronger in Pair 2.",
                "It is the same in both pairs.",
            ],
            "answer": index % 3,
            "chosen": index % 3,
            "rival_chosen": -1 if index == 4 else (index + 1) % 3,
            "method": "stacking_with_llava",
            "rival": "llava",
            "image_path": f"images/test/{index}.png" if index % 5 else None,
            "skill": SKILLS[index % len(SKILLS)],
        }
        for index in range(12)
    ]
    lost = [{**card, "chosen": card["rival_chosen"], "rival_chosen": card["answer"]} for card in cards[6:]]
    shown = [name for name, _, kind, _ in METHODS if kind in ("stack", "ladder", "llm")]
    with_prob = [record for record in records if record["log_loss"]]
    return {
        "schema_version": 1,
        **more_parts(shown, with_prob),
        "study": "ensemble_vs_llm",
        "title": "Ensembles against LLaVA on Mini-ScienceQA",
        "verdict": {
            "sentence": "Stacking with LLaVA answers 80.1 % of 1,200 test questions, 9.9 points more than "
            "LLaVA alone (95 % interval 7.0 to 12.6, 296 families).",
            "details": [
                "Without LLaVA the best ensemble, stacking, is 5.0 points above LLaVA (1.6 to 8.2).",
                "A forest of XGBoosts is level with one XGBoost: +0.5 points (-0.8 to +1.7).",
            ],
        },
        "data": {
            "name": "Mini-ScienceQA",
            "fingerprint": "9f3c1b52a0c84e31b1bd1e9a77a3cb2f64d51c7be1f0a4f5ce1d6a1a2ce77e10",
            "splits": {
                "train_llm": {"n_questions": 6000, "n_rows": 19311, "n_families": 1480, "n_with_image": 3750},
                "train_ensemble": {
                    "n_questions": 2400,
                    "n_rows": 7712,
                    "n_families": 590,
                    "n_with_image": 1500,
                },
                "val": {"n_questions": 800, "n_rows": 2570, "n_families": 201, "n_with_image": 500},
                "test": {"n_questions": 1200, "n_rows": 3866, "n_families": 296, "n_with_image": 750},
            },
            "gaps": [
                {
                    "what": "hint",
                    "split": "test",
                    "missing": 412,
                    "of": 1200,
                    "note": "none given by the source",
                },
                {"what": "image file", "split": "test", "missing": 0, "of": 750, "note": ""},
            ],
            "evaluated_on": "test",
            "protocol": "Fitted on train_ensemble, family-grouped folds, chosen on val, scored once on test.",
            "n_questions": 1200,
            "n_families": 296,
        },
        "methods": records,
        "ladder": [
            {"rung": "Decision tree", "note": "90", "method": "decision_tree"},
            {"rung": "Random forest: M trees in parallel", "note": "95", "method": "random_forest"},
            {"rung": "XGBoost: M trees in sequence", "note": "97", "method": "xgboost"},
            {"rung": "Forest of M XGBoosts", "note": "??", "method": "forest_of_xgboost"},
            {"rung": "Stacking RF + XGB + kNN + ...", "note": "??", "method": "stacking"},
        ],
        "comparisons": comparisons,
        "choice": {"method": "stacking", "why": "least log-loss on val"},
        "llm": [
            {
                "name": "llm:llava_13b",
                "n": 3175,
                "right_as_published": 2878,
                "right_strict": 2877,
                "not_answered": 4,
                "columns": [
                    {"name": name, "accuracy": 0.9065, "n": 3175, "n_unknown": 0}
                    for name in ("NAT", "SOC", "LAN", "TXT", "IMG", "NO", "G1-6", "G7-12", "Avg")
                ],
            }
        ],
        "families_removed": {
            "n_families": 117,
            "n_questions_removed": 1893,
            "methods": [
                {**r, "accuracy": estimate(r["accuracy"]["value"] - 0.0173, 0.029)}
                for r in records
                if r["kind"] in ("ladder", "stack")
            ],
            "comparisons": [
                comparison("stacking_with_llava", "llava", 0.0818, 0.0302, 171, 73, 3.1e-10, 6.2e-10)
            ],
        },
        "slices": slices,
        "curves": curves,
        "ablation": [
            {
                "method": method,
                "without": block,
                "accuracy": estimate(0.752 + change, 0.027),
                "difference": estimate(change, 0.012),
            }
            for method in ("stacking", "xgboost")
            for block, change in (
                ("clip_image", -0.0517),
                ("llm_hidden", -0.0214),
                ("text_memory", -0.0093),
                ("option_logprob", -0.0711),
                ("clip_text", 0.0031),
            )
        ],
        "tuning": [
            {
                "method": method,
                "n_trials": 30,
                "inner_log_loss": 0.5513 + 0.01 * i,
                "outer_log_loss": 0.5724 + 0.012 * i,
                "inner_accuracy": 0.7493 - 0.004 * i,
                "outer_accuracy": 0.7361 - 0.003 * i,
                "default_inner_log_loss": 0.5837 + 0.01 * i,
                "standard_error": 0.0204 + 0.001 * i,
                "one_standard_error": {"trial": 3 + i, "n_within": 5, "inner_log_loss": 0.56, "params": {}},
                "at_edge": [{"name": "max_depth", "value": 8, "low": 2, "high": 8, "side": "high"}][: i % 2],
                "seconds": 21.34 + 4 * i,
                "journal": f"optuna/{method}.log",
            }
            for i, method in enumerate(("xgboost", "lightgbm", "random_forest", "decision_tree"))
        ],
        "audit": {
            "checks": [
                {
                    "name": "families across folds",
                    "status": "pass",
                    "found": 0,
                    "detail": "no family in two folds",
                },
                {
                    "name": "exact duplicates",
                    "status": "reported",
                    "found": 3,
                    "detail": "within train_ensemble",
                },
                {"name": "rows seen in training", "status": "pass", "found": 0, "detail": ""},
                {
                    "name": "noise floor",
                    "status": "pass",
                    "found": 0.3371,
                    "detail": "accuracy of XGBoost on shuffled labels; chance is 0.334",
                },
                {
                    "name": "option permutation",
                    "status": "fail",
                    "found": 2,
                    "detail": "questions whose chosen text changes with the order of the options",
                },
            ]
        },
        "llava": {
            "stages": [
                {
                    "name": name,
                    "n_examples": n,
                    "steps": steps,
                    "seconds": seconds,
                    "loss": [
                        [step, end + (start - end) / (1 + step / 40) + rng.uniform(-0.08, 0.08)]
                        for step in range(steps)
                    ],
                }
                for name, n, steps, seconds, start, end in (
                    ("align", 12000, 375, 48.2, 4.1, 1.9),
                    ("finetune", 6000, 1125, 171.9, 2.6, 0.31),
                )
            ],
            "scores": [
                {"what": "loglik", "accuracy": estimate(0.702, 0.031)},
                {"what": "generation", "accuracy": estimate(0.688, 0.031)},
                {"what": "blank_image", "accuracy": estimate(0.371, 0.029)},
                {"what": "stage1_only", "accuracy": estimate(0.342, 0.028)},
            ],
            "skills": [
                {
                    "skill": skill,
                    "chance": 0.5 if i % 3 == 0 else 0.3333,
                    "accuracy": estimate(0.52 + 0.027 * i, 0.08, 90),
                    "n": 90,
                }
                for i, skill in enumerate(SKILLS[:12])
            ],
        },
        "examples": {"won": cards[:6], "lost": lost},
        "provenance": {
            "command": "studies run ensemble_vs_llm --out runs/mini --seed 0",
            "seed": 0,
            "versions": {"python": "3.12.4", "numpy": "2.5.5", "scikit-learn": "1.9.1", "xgboost": "3.4.1"},
            "machine": {"cpu": "2 cores", "memory_bytes": 8_000_000_000, "system": "Linux"},
            "started": "2026-11-23 20:01:11 UTC",
            "seconds": 513.4,
            "step_seconds": {"checkpoint": 320.5, "tune": 190.2, "check": 0.4},
            "peak_rss_bytes": 1_534_000_000,
            "announced_bytes": 1_900_000_000,
            "git_commit": "0123456789abcdef",
        },
    }


def build_compared(summary):
    """What `studies compare` found between three runs; all figures invented."""
    names = ("runs/seed0", "runs/seed1", "runs/another_checkpoint_of_a_long_name")
    told = [
        {
            "name": name, "data": "Mini-ScienceQA", "fingerprint": "9f3c1b52a0c84e31", "evaluated_on": "test",
            "n_questions": 1200, "n_families": 296, "seed": place, "git_commit": None, "seconds": 12.0,
            "choice": "stacking", "sentence": "It ran.", "differs": {"seed": place, "llava": "checkpoints/b"},
        }
        for place, name in enumerate(names)
    ]  # fmt: skip
    leaderboard = [
        {
            "method": record["name"],
            "label": record["label"],
            "kind": record["kind"],
            "cells": [
                {"accuracy": record["accuracy"], "log_loss": record["log_loss"], "status": "ok"},
                {
                    "accuracy": estimate(record["accuracy"]["value"] - 0.01, 0.03),
                    "log_loss": None,
                    "status": "ok",
                },
                None
                if place % 3
                else {"accuracy": estimate(0.6, 0.03), "log_loss": None, "status": "failed"},
            ],
        }
        for place, record in enumerate(summary["methods"])
    ]
    rows = [
        {"method": row["a"], "label": label, **{key: row[key] for key in row if key not in ("a", "b")}}
        for row, label in zip(summary["comparisons"], "ABCDEF", strict=True)
    ]
    seeds = [
        {
            "method": name, "label": label, "mean": accuracy, "seed_sd": 0.004, "question_se": 0.013,
            "lowest": accuracy - 0.005, "highest": accuracy + 0.004, "n_seeds": 2, "n": 1200,
        }
        for name, label, _, accuracy in METHODS
    ]  # fmt: skip
    return {
        "study": "ensemble_vs_llm",
        "sentence": "Over 2 seeds Stacking gets 75.2 % of 1,200 common questions right.",
        "level": 0.95,
        "runs": told,
        "leaderboard": leaderboard,
        "pairs": [{"a": names[0], "b": names[1], "n_questions": 1200, "rows": rows}],
        "seeds": [{"runs": list(names[:2]), "seeds": [0, 1], "n_questions": 1200, "rows": seeds}],
        "notes": ["Runs on other data stand beside each other; no difference is taken between them."],
    }
