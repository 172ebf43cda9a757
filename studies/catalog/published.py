"""Methods that read published answers: each model, their vote, the best one, and a stack [edge].

Published answers exist for test questions only, so whatever is chosen or learned from them is scored in
nested cross-validation within test: outer folds keep families together, and the ranking of the models, like
every fit, uses the other folds only. Members trained on the training part bring their test probabilities as
features.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.registry import MEMBERS
from ensembles.splits import family_folds
from ensembles.stacking import OptionStacking
from llava_core.data.example import Dataset, Example
from llava_core.errors import InputError
from llava_core.evaluation.answers import PublishedAnswers
from llava_core.evaluation.scienceqa import columns
from studies.catalog.ground import MEMBERS_BLOCK, Ground, save_prediction, with_members
from studies.catalog.ladder import LADDER, try_method
from studies.catalog.saved import Needs, save_method
from studies.catalog.stacks import CONTEXT
from studies.catalog.votes import as_shares, chosen_options, plurality, ranked
from studies.design import OptionTable, option_table
from studies.progress import Progress
from studies.rundir import Facts, digest

BLOCKS = ("structure", "overlap", "llm_answer", MEMBERS_BLOCK)
"""What the stack sees; texts beyond these reach it through the members, which had more to learn from."""
FEWEST_FAMILIES = 3
LEVEL0: Mapping[str, Mapping[str, Any]] = {
    "xgboost": {
        "n_estimators": 300, "learning_rate": 0.03, "max_depth": 3, "min_child_weight": 8.0,
        "subsample": 0.7, "colsample_bytree": 0.3, "reg_lambda": 8.0,
    },
    "lightgbm": {
        "n_estimators": 300, "learning_rate": 0.02, "num_leaves": 8, "min_child_samples": 40,
        "colsample_bytree": 0.3, "reg_lambda": 8.0,
    },
    "forest_of_xgboost": {
        "n_members": 8, "n_estimators": 150, "learning_rate": 0.05, "max_depth": 3, "min_child_weight": 4.0,
        "subsample": 0.8, "colsample_bytree": 0.3, "reg_lambda": 2.0,
    },
    "random_forest": {
        "n_estimators": 100, "max_features": 0.1, "min_samples_leaf": 5, "max_samples": 0.6,
    },
    "neighbours": {"n_neighbors": 40, "n_reference": 30_000},
    "linear": {"C": 0.01},
}  # fmt: skip
"""Members of the stack with all their parameters, so that no default elsewhere changes it: small trees in
small steps, for a few thousand questions. Chosen in inner folds (`benchmarks/published_stack.py`)."""


def check_families(test: Sequence[Example]) -> None:
    """Check that nested folds by family can be made: each fold's training part is divided again.

    Raises
    ------
    InputError
        If the questions are of fewer than three families.
    """
    n_families = len({example.group for example in test})
    if n_families < FEWEST_FAMILIES:
        raise InputError(
            f"got answers to questions of {n_families} families, allowed are {FEWEST_FAMILIES} or more: "
            "methods that learn from answers are scored on families that they did not learn from",
            field="llm_answers",
        )


def answered_by_all(answers: Sequence[PublishedAnswers]) -> set[str] | None:
    """Return the questions that every file answers, -1 included; None without files."""
    if not answers:
        return None
    return set.intersection(*(set(file.chosen) for file in answers))


def answer_gaps(answers: Sequence[PublishedAnswers], dataset: Dataset) -> list[dict[str, Any]]:
    """Count, per file, test questions without an answer, unparsed texts and published guesses."""
    test = [example.id for example in dataset.split("test")] or [example.id for example in dataset.examples]
    rows = []
    for file in answers:
        counts = {
            "question not asked": sum(pid not in file.chosen for pid in test),
            "text without an answer": file.n_unparsed,
            "answer beyond the options": file.n_beyond,
            "guess in place of an answer": file.n_guessed,
            "answer to a question that the data lacks": file.n_unknown,
        }
        rows += [
            {"what": f"{file.name}: {what}", "split": "test", "missing": n, "of": len(test), "note": ""}
            for what, n in counts.items()
            if n
        ]
    return rows


def describe_answers(answers: Sequence[PublishedAnswers], dataset: Dataset) -> list[dict[str, Any]]:
    """Return how often each file is right, as published and parsed strictly, over all that it answers.

    With the nine columns of ScienceQA, as published: what is not answered counts as wrong.
    """
    by_id = {example.id: example for example in dataset.examples}
    return [
        {
            "name": f"llm:{file.name}",
            "n": len(file.chosen),
            "right_as_published": sum(by_id[pid].answer == option for pid, option in file.chosen.items()),
            "right_strict": sum(by_id[pid].answer == option for pid, option in file.strict.items())
            if file.texts
            else None,
            "not_answered": Counter(file.chosen.values())[-1],
            "columns": [
                {"name": name, "accuracy": column.accuracy, "n": column.n, "n_unknown": column.n_unknown}
                for name, column in columns(
                    [float(by_id[pid].answer == option) for pid, option in file.chosen.items()],
                    [by_id[pid] for pid in file.chosen],
                ).items()
            ],
        }
        for file in answers
    ]


def fit_published(
    ground: Ground,
    test: Sequence[Example],
    answers: Sequence[PublishedAnswers],
    progress: Progress,
) -> dict[str, Facts]:
    """Write the predictions of every method that reads published answers.

    Parameters
    ----------
    ground : Ground
        On which the ladder has been fitted.
    test : sequence of Example
        Labelled questions that every file answers.
    answers : sequence of PublishedAnswers
    progress : Progress
    """
    table = option_table(test, answers=answers)
    chosen = chosen_options(test, answers)
    right = np.array([example.answer for example in test], dtype=np.int64)
    families = table.groups[np.unique(table.questions, return_index=True)[1]]
    n_folds = min(ground.spec.outer_folds, len(np.unique(families)))
    folds = family_folds(families, n_folds=n_folds, seed=ground.spec.seed)
    inputs: dict[str, Any] = {
        "answers": {file.name: digest({"chosen": file.chosen, "texts": file.texts}) for file in answers},
        "outer_folds": n_folds,
    }
    methods: dict[str, Facts] = {}
    if not ground.tag:
        methods = _alone(ground, table, chosen, right, folds, answers, inputs)
    methods["stacking_with_llm"] = _nested(ground, table, folds, answers, inputs, progress)
    return methods


def _alone(
    ground: Ground,
    table: OptionTable,
    chosen: NDArray[np.int64],
    right: NDArray[np.int64],
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    answers: Sequence[PublishedAnswers],
    inputs: Mapping[str, Any],
) -> dict[str, Facts]:
    """Write the models by themselves, and what needs no fit but a ranking of them."""
    sizes = np.bincount(table.questions)
    vote, best = np.full(len(right), -1), np.full(len(right), -1)
    for train, held_out in folds:
        order = ranked(chosen[train], right[train])
        vote[held_out] = plurality(chosen[held_out], order)
        best[held_out] = chosen[held_out, order[0]]
    picks = {f"llm:{file.name}": chosen[:, place] for place, file in enumerate(answers)}
    if len(answers) > 1:
        picks["llm_vote"] = vote
    picks["llm_best"] = best
    fold = _fold_of_rows(table, folds)
    methods = {}
    for name, options in picks.items():

        def do(name: str = name, options: NDArray[np.int64] = options) -> Facts:
            alone = name.startswith("llm:")
            save_prediction(
                ground, name, chosen=as_shares(options, sizes), fold=-1 if alone else fold, table=table
            )
            return {}

        methods[name] = try_method(ground, name, do, picks=options.tolist(), **inputs)
    return methods


def _nested(
    ground: Ground,
    table: OptionTable,
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    answers: Sequence[PublishedAnswers],
    inputs: Mapping[str, Any],
    progress: Progress,
) -> Facts:
    folder = "" if ground.tag else ground.place("models", "stacking_with_llm")
    tick = progress.stage("stack with LLM answers, nested")

    def do() -> Facts:
        rows = with_members(ground, table, LADDER)
        prob, seconds = np.full(len(rows.y), np.nan), 0.0
        for place, (train, held_out) in enumerate(folds):
            learn, judge = np.isin(rows.questions, train), np.isin(rows.questions, held_out)
            stack = _build_stack(ground, rows.groups[learn])
            begun = perf_counter()
            stack.fit(
                rows.frame[learn].reset_index(drop=True),
                rows.y[learn],
                questions=rows.questions[learn],
                groups=rows.groups[learn],
            )
            seconds += perf_counter() - begun
            held = rows.frame[judge].reset_index(drop=True)
            prob[judge] = stack.predict_proba(held, questions=rows.questions[judge])[:, 1]
            tick(place + 1, len(folds) + 1)
        save_prediction(ground, "stacking_with_llm", prob=prob, fold=_fold_of_rows(rows, folds), table=rows)
        final = _build_stack(ground, rows.groups)
        begun = perf_counter()
        final.fit(rows.frame, rows.y, questions=rows.questions, groups=rows.groups)
        fit_s = perf_counter() - begun
        facts = {
            "fit_s": fit_s,
            "nested_fit_s": seconds,
            "n_features": int(final.n_features_in_),
            "weights": dict(final.level_one_.weights_),
        }
        if folder:
            needs = Needs(answers=tuple(file.name for file in answers), members=LADDER)
            facts["size_bytes"] = save_method(ground.run.path / folder, final, needs)
        tick(len(folds) + 1, len(folds) + 1)
        return facts

    return try_method(ground, "stacking_with_llm", do, models=[folder] if folder else [], **inputs)


def _build_stack(ground: Ground, groups: NDArray[np.int64]) -> OptionStacking:
    """Return an unfitted stack for rows of these families, which encodes within its own folds."""
    spec = ground.spec
    return OptionStacking(
        members=[
            (name, MEMBERS[name].make(params, seed=spec.seed, n_jobs=spec.jobs))
            for name, params in LEVEL0.items()
        ],
        n_folds=min(spec.folds, len(np.unique(groups))),
        seed=spec.seed,
        encoder=ground.encoder(BLOCKS),
        context=CONTEXT,
    )


def _fold_of_rows(
    table: OptionTable, folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
) -> NDArray[np.int64]:
    fold = np.empty(table.n_questions, dtype=np.int64)
    for number, (_, held_out) in enumerate(folds):
        fold[held_out] = number
    return fold[table.questions]
