"""Checks that use fits: what noise labels score, and whether the order of options matters [edge].

Both belong to the study, since both find faults that a good accuracy hides: labels that reach the features of
their own rows, and an answer position that is learned.
"""

import numpy as np
from numpy.typing import NDArray

from ensembles.choice import question_probabilities
from ensembles.registry import MEMBERS
from studies import stats
from studies.catalog.audit import Check, Status, noise_labels
from studies.catalog.ground import Ground
from studies.catalog.saved import read_method
from studies.predictions import shares
from studies.rundir import Facts

NOISE_QUESTIONS = 1500
"""Questions of the noise check, half to learn from."""
FEWEST_NOISE_QUESTIONS = 50
"""With fewer questions to judge, as in smoke runs, the noise check only reports."""
PERMUTED_QUESTIONS = 200
LARGEST_SHIFT = 1e-4
"""Change of a probability by reordering options that still counts as rounding."""


def noise_floor(ground: Ground, *, member: str = "xgboost") -> Check:
    """Fit on labels drawn at random, score on held-out families: the interval has to hold chance."""

    def do() -> Facts:
        seed, table = ground.spec.seed, ground.fitted
        families = np.random.default_rng(seed).permutation(int(table.groups.max()) + 1)
        learns = families[table.groups] % 2 == 0
        learn = _some(table.questions, learns, NOISE_QUESTIONS // 2, seed=seed)
        judge = _some(table.questions, ~learns, NOISE_QUESTIONS // 2, seed=seed)
        noise = noise_labels(table.y, table.questions, seed=seed)
        encoder = ground.encoder()
        train = encoder.fit_transform(table.frame.iloc[learn], noise[learn], groups=table.groups[learn])
        estimator = MEMBERS[member].make(MEMBERS[member].defaults, seed=seed, n_jobs=ground.spec.jobs)
        estimator.fit(train, noise[learn], groups=table.groups[learn], questions=table.questions[learn])
        judged = encoder.transform(table.frame.iloc[judge])
        score = estimator.predict_proba(judged, questions=table.questions[judge])[:, 1]
        _, question = np.unique(table.questions[judge], return_inverse=True)
        prob = question_probabilities(score, question)
        credit = np.bincount(question, weights=shares(prob, question) * noise[judge])
        starts = np.unique(question, return_index=True)[1]
        families_judged = table.groups[judge][starts]
        chance = float(np.mean(1 / np.bincount(question)))
        found = stats.accuracy_estimate(credit, families_judged, level=0.99, seed=seed)
        return {"accuracy": found.value, "low": found.low, "high": found.high, "chance": chance, "n": found.n}

    facts = ground.step("check.noise", do, outputs=[], member=member)
    held = facts["low"] <= facts["chance"] <= facts["high"]
    unlike: Status = "fail" if facts["n"] >= FEWEST_NOISE_QUESTIONS else "reported"
    return Check(
        name="noise labels score chance",
        status="pass" if held else unlike,
        found=0 if held else int(facts["n"]),
        detail=f"{100 * facts['accuracy']:.1f} % [{100 * facts['low']:.1f}, {100 * facts['high']:.1f}] on "
        f"{facts['n']} questions, chance {100 * facts['chance']:.1f} %",
    )


def option_order(ground: Ground, method: str) -> Check:
    """Reorder the options of some questions: every option has to keep its probability."""

    def do() -> Facts:
        rng = np.random.default_rng(ground.spec.seed)
        rows = _some(
            ground.scored.questions,
            np.ones(len(ground.scored.questions), dtype=bool),
            PERMUTED_QUESTIONS,
            seed=ground.spec.seed,
        )
        question = ground.scored.questions[rows]
        order = np.lexsort((rng.random(len(rows)), question))
        predict = read_method(ground.run.path, method).predict
        frame = ground.scored.frame.iloc[rows]
        straight = predict(frame.reset_index(drop=True), question)
        shuffled = predict(frame.iloc[order].reset_index(drop=True), question[order])
        shift = np.abs(straight[order] - shuffled)
        return {
            "largest": float(shift.max()),
            "n_moved": len(np.unique(question[order][shift > LARGEST_SHIFT])),
        }

    facts = ground.step("check.order", do, outputs=[], method=method)
    return Check(
        name="option order changes nothing",
        status="pass" if facts["n_moved"] == 0 else "fail",
        found=facts["n_moved"],
        detail=f"{method}: largest change of a probability {facts['largest']:.1e}",
    )


def _some(questions: NDArray[np.int64], allowed: NDArray[np.bool_], n: int, *, seed: int) -> NDArray[np.intp]:
    """Return the rows of at most ``n`` of the allowed questions, drawn by seed."""
    ids = np.unique(questions[allowed])
    kept = np.random.default_rng(seed).permutation(ids)[:n]
    return np.flatnonzero(np.isin(questions, kept) & allowed)
