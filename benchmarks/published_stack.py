"""Which features and members the stack of published answers should have; chosen on inner folds only.

    studies run ensemble_vs_llm --data SCIENCEQA --llm-answers A.json ... --out RUN
    python benchmarks/published_stack.py RUN [n_outer]

For each of the first ``n_outer`` outer folds of the run (1 by default), every candidate is cross-validated
by family within the fold's training part; the fold's held-out questions are not read. Printed: accuracy and
log-loss of each candidate, with the difference to the first one and its standard
error by family.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ensembles.choice import credit, question_log_loss
from ensembles.level_one import LevelOne
from ensembles.oof import EncodedFold, encode_fold, out_of_fold, rows_of
from ensembles.oof_store import OofStore
from ensembles.registry import MEMBERS
from ensembles.splits import family_folds
from ensembles.trial import clustered_error
from llava_core.data.load import load_dataset
from llava_core.evaluation.answers import read_answers
from studies.catalog.ground import MEMBERS_BLOCK, Ground, lay_ground, with_members
from studies.catalog.ladder import LADDER
from studies.catalog.protocol import choose_protocol
from studies.catalog.published import BLOCKS, LEVEL0, answered_by_all
from studies.catalog.stacks import CONTEXT
from studies.catalog.stacks import LEVEL0 as STACK
from studies.design import OptionTable, option_table
from studies.rundir import RunDir
from studies.spec.base import from_json
from studies.spec.ensemble import EnsembleSpec

N_INNER = 4
MORE = ("neighbours", "linear", "stacking")


Level0 = Mapping[str, Mapping[str, Any]]
"""Members by name, and what is not default in them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """What a stack sees and is made of."""

    blocks: Sequence[str] = BLOCKS
    members: Level0 = field(default_factory=lambda: LEVEL0)


def _defaults(*names: str) -> Level0:
    return {name: {} for name in names}


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """An inner split, encoded with all blocks."""

    learn: NDArray[np.intp]
    judge: NDArray[np.intp]
    folds: Sequence[tuple[EncodedFold, NDArray[np.str_]]]
    """Folds of the training part, with the block of each feature."""
    whole: tuple[EncodedFold, NDArray[np.str_]]
    """The whole training part, and what is judged."""
    store: OofStore
    """Members that several candidates share are fitted once."""


Judged = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]
CANDIDATES: Mapping[str, Candidate] = {
    "as in the study": Candidate(),
    "members with defaults": Candidate(members=_defaults(*STACK)),
    "members with defaults, conditional logit": Candidate(members=_defaults(*STACK, "conditional_logit")),
    "members with defaults, conditional logit, rankers": Candidate(
        members=_defaults(*STACK, "conditional_logit", "xgboost_ranker", "lightgbm_ranker")
    ),
    "+ extra trees, conditional logit": Candidate(
        members={**LEVEL0, **_defaults("extra_trees", "conditional_logit")}
    ),
    "conditional logit alone": Candidate(members=_defaults("conditional_logit")),
    "+ hint known": Candidate(blocks=(*BLOCKS, "given")),
    "+ question_text": Candidate(blocks=(*BLOCKS, "question_text")),
    "+ text_memory": Candidate(blocks=(*BLOCKS, "text_memory")),
    "+ more members of the run": Candidate(blocks=(*BLOCKS, "more")),
    "+ question_text, hint known, more members": Candidate(
        blocks=(*BLOCKS, "given", "more", "question_text")
    ),
    "without the run's members": Candidate(blocks=tuple(block for block in BLOCKS if block != MEMBERS_BLOCK)),
}


def main(run: Path, n_outer: int = 1) -> None:
    """Measure and print, a line per candidate."""
    spec = from_json(EnsembleSpec, (run / "spec.json").read_text(), path=run / "spec.json")
    ground, table = _rows(spec, run)
    families = table.groups[np.unique(table.questions, return_index=True)[1]]
    outer = family_folds(families, n_folds=spec.outer_folds, seed=spec.seed)[:n_outer]
    found: dict[str, list[Judged]] = {name: [] for name in CANDIDATES}
    for train, _ in outer:
        rows = table.take(np.isin(table.questions, train))
        for learn, judge in family_folds(rows.groups, n_folds=N_INNER, seed=spec.seed + 1):
            split = _encode(ground, rows, learn, judge)
            for name, candidate in CANDIDATES.items():
                found[name].append(_judge(ground, rows, split, candidate))
            print(f"{len(found[name])} of {N_INNER * n_outer} inner folds done", file=sys.stderr, flush=True)
    print("| candidate | accuracy, % | to the first | log-loss | to the first |\n|---|---|---|---|---|")
    first: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    for name, parts in found.items():
        right, loss, groups = (np.concatenate(each) for each in zip(*parts, strict=True))
        first = first or (right, loss)
        gain, less = 100 * (right - first[0]), loss - first[1]
        cells = (
            f"{100 * right.mean():.2f}",
            f"{gain.mean():+.2f} +- {clustered_error(gain, groups):.2f}",
            f"{loss.mean():.4f}",
            f"{less.mean():+.4f} +- {clustered_error(less, groups):.4f}",
        )
        print(f"| {name} | {' | '.join(cells)} |")


def _rows(spec: EnsembleSpec, run: Path) -> tuple[Ground, OptionTable]:
    """Return the answered test questions, with what the run's ladder says of them."""
    dataset = load_dataset(spec.data)
    answers = [read_answers(path, dataset) for path in spec.llm_answers]
    protocol = choose_protocol(dataset, seed=spec.seed, limit=spec.limit, answered=answered_by_all(answers))
    ground = lay_ground(spec, RunDir(path=run), protocol, fingerprint=dataset.fingerprint)
    table = with_members(ground, option_table(protocol.test, answers=answers), LADDER)
    more = with_members(ground, table, MORE).frame[[f"{MEMBERS_BLOCK}:{name}" for name in MORE]]
    table = table.with_columns("more", {name: more[f"{MEMBERS_BLOCK}:{name}"].to_numpy() for name in MORE})
    known = table.frame["hint"].notna() & (table.frame["hint"] != "")
    return ground, table.with_columns("given", {"hint": known.to_numpy()})


def _encode(ground: Ground, rows: OptionTable, learn: NDArray[np.intp], judge: NDArray[np.intp]) -> Split:
    """Encode a split with the blocks of all candidates, whole and in folds of its training part."""
    blocks = list(dict.fromkeys(block for candidate in CANDIDATES.values() for block in candidate.blocks))
    frame, y, groups = rows_of(rows.frame, learn), rows.y[learn], rows.groups[learn]
    whole = (np.arange(len(learn)), np.arange(len(learn)))
    splits = family_folds(groups, n_folds=ground.spec.folds, seed=ground.spec.seed)
    encoded = []
    for train, held_out in splits:
        encoded.append(
            encode_fold(frame, y, groups=groups, fold=(train, held_out), encoder=ground.encoder(blocks))
        )
    encoder = ground.encoder(blocks)
    last = EncodedFold(
        train=whole[0],
        held_out=whole[1],
        X_train=encoder.fit_transform(frame, y, groups=groups),
        X_held_out=encoder.transform(rows_of(rows.frame, judge)),
    )
    return Split(
        learn=learn,
        judge=judge,
        folds=[(fold, np.array(own.feature_blocks_)) for fold, own in encoded],
        whole=(last, np.array(encoder.feature_blocks_)),
        store=OofStore(),
    )


def _judge(ground: Ground, rows: OptionTable, split: Split, candidate: Candidate) -> Judged:
    """Return credit, log-loss and family of each judged question, by a stack that did not see its family."""
    learn, judge, spec = split.learn, split.judge, ground.spec
    of_rows = {"y": rows.y[learn], "questions": rows.questions[learn], "groups": rows.groups[learn]}
    folds = [_columns(fold, blocks, candidate) for fold, blocks in split.folds]
    last = _columns(*split.whole, candidate)
    oof, judged = {}, {}
    for name, params in candidate.members.items():
        member = MEMBERS[name].make(params, seed=spec.seed, n_jobs=1)
        oof[name] = out_of_fold(member, folds=folds, **of_rows, predict=split.store.predict_fold).prob
        member.fit(last.X_train, of_rows["y"], questions=of_rows["questions"], groups=of_rows["groups"])
        judged[name] = member.predict_proba(last.X_held_out, questions=rows.questions[judge])[:, 1]
    context = {CONTEXT: rows.frame[CONTEXT].to_numpy()}
    level1 = LevelOne(probs=list(candidate.members), context=CONTEXT, n_folds=spec.folds, seed=spec.seed)
    level1.fit(pd.DataFrame({**oof, CONTEXT: context[CONTEXT][learn]}), **of_rows)
    seen = pd.DataFrame({**judged, CONTEXT: context[CONTEXT][judge]})
    prob = level1.predict_proba(seen, questions=rows.questions[judge])[:, 1]
    first = np.unique(rows.questions[judge], return_index=True)[1]
    return (
        credit(prob, rows.questions[judge], rows.y[judge]),
        question_log_loss(prob, rows.questions[judge], rows.y[judge]),
        rows.families[judge][first],
    )


def _columns(fold: EncodedFold, blocks: NDArray[np.str_], candidate: Candidate) -> EncodedFold:
    wanted = np.isin(blocks, list(candidate.blocks))
    return replace(fold, X_train=fold.X_train[:, wanted], X_held_out=fold.X_held_out[:, wanted])


if __name__ == "__main__":
    with threadpool_limits(1):
        main(Path(sys.argv[1]), *(int(number) for number in sys.argv[2:]))
