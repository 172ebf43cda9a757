"""When a forest of XGBoosts is worth its cost: against one XGBoost, by number of training questions.

    python benchmarks/forest_of_xgboost.py SCIENCEQA

Image questions of real ScienceQA, members with default parameters, fitted on a sample of train's families and
judged on val; nothing of test is read. ``xgboost, as many trees`` has the trees of the forest in one
sequence of smaller steps. Printed per size, means over seeds: log-loss and accuracy on val, CPU-seconds of
the fit, and how much two seeds of the same fit disagree (share of questions whose chosen option differs).
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ensembles.choice import credit, question_log_loss, question_probabilities
from ensembles.registry import MEMBERS
from llava_core.data.load import load_dataset
from studies.catalog.protocol import choose_protocol
from studies.design import DesignEncoder, option_table

SIZES = (300, 1000, 3000, None)
SEEDS = (0, 1, 2)
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "random_forest": ("random_forest", {}),
    "xgboost": ("xgboost", {}),
    "xgboost, as many trees": ("xgboost", {"n_estimators": 720, "learning_rate": 0.02}),
    "forest_of_xgboost": ("forest_of_xgboost", {}),
}


def main(data: Path) -> None:
    """Measure and print, a line per size and method."""
    protocol = choose_protocol(load_dataset(data), seed=0)
    train, val = (
        option_table([example for example in part if example.has_image])
        for part in (protocol.train, protocol.val)
    )
    print(
        "| questions | method | log-loss | accuracy, % | CPU-s | two seeds disagree, % |\n"
        "|---|---|---|---|---|---|"
    )
    for size in SIZES:
        found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in METHODS}
        n_questions = []
        for seed in SEEDS:
            rows = train if size is None else train.take(_families(train, size, seed))
            n_questions.append(rows.n_questions)
            encoder = DesignEncoder(memory_keep="question", seed=seed)
            X = encoder.fit_transform(rows.frame, rows.y, groups=rows.groups)
            held = encoder.transform(val.frame)
            for name, (member, params) in METHODS.items():
                shares, cpu_s = [], 0.0
                for of_fit in (seed, seed + 100):
                    begun = process_time()
                    model = MEMBERS[member].make(params, seed=of_fit, n_jobs=1)
                    model.fit(X, rows.y, questions=rows.questions, groups=rows.groups)
                    cpu_s += (process_time() - begun) / 2
                    prob = model.predict_proba(held, questions=val.questions)[:, 1]
                    shares.append(question_probabilities(prob, val.questions))
                picks = [np.maximum.reduceat(share, _starts(val.questions)) for share in shares]
                tops = [share == pick[val.questions] for share, pick in zip(shares, picks, strict=True)]
                apart = (np.bincount(val.questions, weights=tops[0] & tops[1]) == 0).mean()
                found[name].append(
                    (
                        float(question_log_loss(shares[0], val.questions, val.y).mean()),
                        float(credit(shares[0], val.questions, val.y).mean()),
                        cpu_s,
                        float(apart),
                    )
                )
        for name, runs in found.items():
            loss, accuracy, cpu_s, apart = np.mean(runs, axis=0)
            print(
                f"| {np.mean(n_questions):.0f} | {name} | {loss:.4f} | {100 * accuracy:.1f} | {cpu_s:.1f} "
                f"| {100 * apart:.1f} |",
                flush=True,
            )


def _families(table: Any, n_questions: int, seed: int) -> np.ndarray:
    """Return a mask of the rows of families drawn until there are so many questions."""
    order = np.random.default_rng(seed).permutation(int(table.groups.max()) + 1)
    sizes = np.bincount(table.groups[_starts(table.questions)])
    kept = order[np.cumsum(sizes[order]) <= n_questions]
    return np.isin(table.groups, kept)


def _starts(questions: np.ndarray) -> np.ndarray:
    return np.unique(questions, return_index=True)[1]


if __name__ == "__main__":
    with threadpool_limits(1):
        main(Path(sys.argv[1]))
