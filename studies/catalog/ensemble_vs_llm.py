"""The main study: decision tree to stacks on LLaVA's features, against LLaVA and with it [edge].

Reads downward as the run does: data, LLaVA, features, audit, methods, second figure, checks, summary. Every
step is kept in the run folder; a resumed run walks the same line and redoes nothing.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from llava_core.data.example import Dataset
from llava_core.evaluation.answers import PublishedAnswers, read_answers
from llava_core.features.store import FeatureStore
from studies.catalog import STUDIES, audit, provenance
from studies.catalog.anatomy import importance_predictions
from studies.catalog.backends import check_backends, fitting_on
from studies.catalog.baselines import answer_variants
from studies.catalog.figure import Figure, choose_method, fit_figure, refit_figure
from studies.catalog.floors import noise_floor, option_order
from studies.catalog.ground import Ground, gather_predictions, lay_ground
from studies.catalog.memory import ensemble_need, with_room
from studies.catalog.outputs import REPORT_FILE, write_outputs
from studies.catalog.protocol import Protocol, choose_protocol, unused, without_families_of
from studies.catalog.published import (
    answer_gaps,
    answered_by_all,
    check_families,
    describe_answers,
    fit_published,
)
from studies.catalog.scoring import Scorer
from studies.catalog.summary import Found, build_summary
from studies.catalog.together import Pair, ask_first, bring_pair, fit_pair
from studies.pipeline import (
    Checkpoints,
    bring_checkpoints,
    bring_store,
    check_recipe,
    load_data,
    score_variants,
    used_gpu,
)
from studies.progress import Progress
from studies.rundir import MANIFEST_FILE, RunDir
from studies.spec.ensemble import EnsembleSpec

REMOVED_TAG = "@families_removed"
"""Suffix of methods in the second figure, in the predictions table too."""


def run(spec: EnsembleSpec, run_dir: RunDir, progress: Progress, command: str) -> Path:
    """Run the study, or what is left of it, and return the report's path.

    Parameters
    ----------
    spec : EnsembleSpec
    run_dir : RunDir
        Open for this process.
    progress : Progress
    command : str
        As it was typed, for the report.

    Raises
    ------
    InputError
        For input that cannot be used, and where the leakage audit fails.
    """
    if run_dir.finished and _same_data(spec, run_dir, progress):
        progress.note("the run is finished; nothing is redone")
        return run_dir.path / REPORT_FILE
    run_dir.reopen()
    check_backends(spec)
    started, begun = datetime.now(UTC), perf_counter()
    # Members bring their own threads; BLAS threads under them cost ten times what they save here.
    with provenance.watch_memory() as peak, threadpool_limits(1, user_api="blas"), fitting_on(spec):
        source = _bring(spec, run_dir, progress)
        need = ensemble_need(spec, source.protocol.used, source.store, source.llava, on_gpu=source.on_gpu)
        spec = with_room(spec, need, peak, progress)
        ground = _ground(spec, run_dir, source, source.protocol)
        figure = fit_figure(ground, progress)
        if source.answers:
            figure.methods.update(fit_published(ground, source.protocol.test, source.answers, progress))
        if source.pair is not None:
            figure.methods.update(fit_pair(ground, source.protocol.test, source.pair))
        if source.llava is not None and figure.is_ok("llava"):
            figure.methods["llava"] |= source.llava.costs
        variants = _llava_variants(spec, run_dir, source, ground, figure, progress)
        removed, counts = _second_figure(spec, run_dir, source, figure, progress)
        progress.stage("noise floor and option order")
        checks = [*source.checks, noise_floor(ground)]
        if figure.is_ok("xgboost"):
            checks.append(option_order(ground, "xgboost"))
        if source.protocol.is_ours:
            checks.append(audit.audit_folds(ground.fold_of_rows, ground.fitted.groups))
        progress.stage("score and write the report")
        names = [*figure.predicted, *variants.values(), *(removed.predicted if removed else ())]
        predictions = gather_predictions(run_dir, names)
        found = Found(
            methods=figure.methods,
            tuning=figure.tuning,
            curves=figure.curves,
            ablation=figure.ablation,
            without_members=figure.without_members,
            shuffled=figure.shuffled,
            shuffled_predictions=importance_predictions(run_dir, figure.shuffled),
            removed=removed.methods if removed else {},
            removed_tag=REMOVED_TAG,
            removed_counts=counts,
            choice=choose_method(figure, predictions, source.protocol),
            checks=audit.as_plain(checks),
            gaps=source.gaps,
            llava=_llava_facts(figure, source.llava, variants),
            llm=describe_answers(source.answers, source.dataset),
            llm_pair=source.pair.facts(source.protocol.test) if source.pair else None,
        )
        summary = build_summary(
            study=spec.study,
            title=STUDIES[spec.study].title,
            dataset=source.dataset,
            protocol=source.protocol,
            scorer=Scorer(
                predictions=predictions,
                examples=source.protocol.headline,
                level=spec.level,
                n_boot=spec.n_boot,
                seed=spec.seed,
            ),
            found=found,
            provenance={
                "command": command,
                "seed": spec.seed,
                **provenance.reproducibility(
                    [*spec.not_reproducible, *([provenance.LLAVA_ON_GPU] if source.on_gpu else [])]
                ),
                "preset": spec.preset,
                "versions": provenance.versions(),
                "machine": provenance.machine(),
                "started": started.isoformat(timespec="seconds"),
                "seconds": perf_counter() - begun,
                "step_seconds": run_dir.seconds_by_kind(),
                **peak.told(),
                "git_commit": provenance.git_commit(),
            },
            run_path=run_dir.path,
        )
        progress.note(summary["verdict"]["sentence"])
        return write_outputs(run_dir, predictions, source.protocol.headline, summary)


def _same_data(spec: EnsembleSpec, run_dir: RunDir, progress: Progress) -> bool:
    """Whether the data is what the finished run read."""
    manifest = json.loads((run_dir.path / MANIFEST_FILE).read_text(encoding="utf-8"))
    return bool(manifest["data"] == load_data(spec, run_dir, progress).fingerprint)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Source:
    """What a run starts from once it has been brought to its features."""

    dataset: Dataset
    answers: list[PublishedAnswers]
    pair: Pair | None
    protocol: Protocol
    llava: Checkpoints | None
    store: FeatureStore | None
    checks: list[audit.Check]
    on_gpu: bool
    """Whether LLaVA worked on one in this run."""

    @property
    def gaps(self) -> list[dict[str, Any]]:
        """What the data and the answers lack, beyond what the reader counted."""
        left = [asdict(gap) for gap in unused(self.dataset, self.protocol)]
        return left + answer_gaps(self.answers, self.dataset)


def _bring(spec: EnsembleSpec, run_dir: RunDir, progress: Progress) -> _Source:
    """Bring data, LLaVA and features to the run; audit each as early as possible."""
    check_recipe(spec)
    dataset = load_data(spec, run_dir, progress)
    fingerprint = dataset.fingerprint
    answers = [read_answers(path, dataset) for path in spec.llm_answers]
    protocol = choose_protocol(dataset, seed=spec.seed, limit=spec.limit, answered=answered_by_all(answers))
    if answers:
        check_families(protocol.test)
    checks = audit.audit_parts(protocol)
    audit.enforce(checks, allow_leak=spec.allow_leak)
    answers += ask_first(spec, run_dir, dataset, protocol.test, progress)
    pair = bring_pair(spec, run_dir, dataset, protocol.test, answers, progress)
    llava = bring_checkpoints(spec, run_dir, protocol.train_llm, fingerprint=fingerprint, progress=progress)
    store = bring_store(spec, run_dir, llava, protocol.used, fingerprint=fingerprint, progress=progress)
    checks += audit.audit_seen(protocol, ()) if store is None else audit.audit_store(protocol, store)
    audit.enforce(checks, allow_leak=spec.allow_leak)
    return _Source(
        dataset=dataset,
        answers=answers,
        pair=pair,
        protocol=protocol,
        llava=llava,
        store=store,
        checks=checks,
        on_gpu=llava is not None and used_gpu(spec, run_dir),
    )


def _ground(
    spec: EnsembleSpec, run_dir: RunDir, source: _Source, protocol: Protocol, *, tag: str = ""
) -> Ground:
    return lay_ground(
        spec, run_dir, protocol, fingerprint=source.dataset.fingerprint, store=source.store, tag=tag
    )


def _llava_variants(
    spec: EnsembleSpec, run_dir: RunDir, source: _Source, ground: Ground, figure: Figure, progress: Progress
) -> dict[str, str]:
    """Score LLaVA under what should break it, on the image questions of the headline."""
    if source.llava is None or not figure.is_ok("llava"):
        return {}
    shown = [example for example in source.protocol.headline if example.has_image]
    if not shown:
        return {}
    scores = score_variants(
        spec, run_dir, source.llava, shown, fingerprint=source.dataset.fingerprint, progress=progress
    )
    return answer_variants(ground, shown, scores)


def _second_figure(
    spec: EnsembleSpec, run_dir: RunDir, source: _Source, figure: Figure, progress: Progress
) -> tuple[Figure | None, dict[str, Any]]:
    """Where train and test share families: refit without the shared ones, parameters as tuned before."""
    protocol = source.protocol
    reduced = without_families_of(protocol)
    n_removed = len(protocol.train) + len(protocol.val) - len(reduced.train) - len(reduced.val)
    if not n_removed or not spec.families_removed or not reduced.train:
        return None, {}
    fitted_on = {example.group for example in (*protocol.train, *protocol.val)}
    shared = fitted_on & {example.group for example in protocol.test}
    ground = _ground(spec, run_dir, source, reduced, tag=REMOVED_TAG)
    removed = refit_figure(ground, figure.params, progress)
    if source.answers:
        removed.methods.update(fit_published(ground, protocol.test, source.answers, progress))
    return removed, {"n_families": len(shared), "n_questions_removed": n_removed}


def _llava_facts(
    figure: Figure, llava: Checkpoints | None, variants: dict[str, str]
) -> dict[str, Any] | None:
    if "llava" not in figure.methods:
        return None
    scores = {"loglik": "llava"}
    if "llava_generated" in figure.methods:
        scores["generation"] = "llava_generated"
    return {
        "stages": list(llava.stages) if llava else [],
        "scores": scores | variants,
        "temperature": figure.temperature,
    }
