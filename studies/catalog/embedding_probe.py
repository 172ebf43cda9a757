"""The study `embedding_probe`: what each stage of LLaVA, or any embedding, holds, and who can read it [edge].

Reads downward as the run does: material, items, cells, erasure, geometry, hard items, summary. Every target
is read off the same items at all stages by all families of probes; every cell carries the controls that keep
a flexible probe honest (`studies.catalog.probing.cells`).
"""

from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from studies.catalog import STUDIES, audit, provenance
from studies.catalog.memory import probing_need, with_room
from studies.catalog.outputs import REPORT_FILE, write_summary
from studies.catalog.probing import geometry
from studies.catalog.probing.answers import asks_llava, erase_from_answers
from studies.catalog.probing.bring import bring_material
from studies.catalog.probing.checks import leaks
from studies.catalog.probing.erasing import erase_concepts
from studies.catalog.probing.ground import ground_of, lay_ground
from studies.catalog.probing.hard import hard_items
from studies.catalog.probing.material import Material
from studies.catalog.probing.probed import content_of, probe_targets
from studies.catalog.probing.summary import build_summary, draws_of
from studies.pipeline import used_gpu
from studies.progress import Progress
from studies.rundir import RunDir, digest
from studies.spec.probing import ProbingSpec


def run(spec: ProbingSpec, run_dir: RunDir, progress: Progress, command: str) -> Path:
    """Run the study, or what is left of it, and return the report's path.

    Parameters
    ----------
    spec : ProbingSpec
    run_dir : RunDir
    progress : Progress
    command : str
        As typed, for the report.

    Raises
    ------
    InputError
        For a source, target or block that cannot be used, and where the leakage audit fails.
    """
    started, begun = datetime.now(UTC), perf_counter()
    with provenance.watch_memory() as peak:
        material = bring_material(spec, run_dir, progress)
        if _is_known(run_dir, material) and run_dir.finished:
            progress.note("the run is finished; nothing is redone")
            return run_dir.path / REPORT_FILE
        run_dir.reopen()
        asked = material.checkpoints if asks_llava(material) else None
        need = probing_need(material, asked, on_gpu=asked is not None and used_gpu(spec, run_dir))
        spec = with_room(spec, need, peak, progress)
        bases = {
            of_all: lay_ground(material, of_all=of_all, split=spec.split, seed=spec.seed, limit=spec.limit)
            for of_all in sorted({target.of_all for target in material.targets})
        }
        checks = [*material.checks, *leaks(material, list(bases.values()), split=spec.split)]
        audit.enforce(checks, allow_leak=spec.allow_leak)
        grounds = {target.name: ground_of(target, bases[target.of_all]) for target in material.targets}
        main = next(iter(bases.values()))
        probed = probe_targets(spec, run_dir, material, grounds, progress)
        erased = erase_concepts(spec, run_dir, material, probed, progress)
        draws = draws_of(spec)
        answers_erased = erase_from_answers(spec, run_dir, material, probed, progress, draws=draws)
        progress.stage("compare the stages and write the report")
        hard = {
            each.target.name: hard_items(
                each, material, probes=spec.probes, run_path=run_dir.path, draws=draws
            )
            for each in probed
        }
        llava_worked = material.checkpoints is not None and (spec.source is None or bool(answers_erased))
        on_gpu = llava_worked and used_gpu(spec, run_dir)
        summary = build_summary(
            spec,
            material,
            main,
            probed,
            title=_title(spec, material),
            erased=erased,
            answers_erased=answers_erased,
            hard={name: found for name, found in hard.items() if found is not None},
            similarity=geometry.similarity(main),
            dimension=geometry.dimensions(main, level=spec.level),
            modality_gap=geometry.gap(main, material.targets),
            checks=checks,
            provenance={
                "command": command,
                "seed": spec.seed,
                **provenance.reproducibility([provenance.LLAVA_ON_GPU] if on_gpu else []),
                "preset": spec.preset,
                "versions": provenance.versions(),
                "machine": provenance.machine(),
                "started": started.isoformat(timespec="seconds"),
                "seconds": perf_counter() - begun,
                "step_seconds": run_dir.seconds_by_kind(),
                **peak.told(),
                "git_commit": provenance.git_commit(),
            },
        )
    progress.note(summary["verdict"]["sentence"])
    return write_summary(run_dir, summary)


def _title(spec: ProbingSpec, material: Material) -> str:
    """Return the page's title; vectors of one's own are no stages of LLaVA."""
    if material.unit == "rows":
        return f"What {material.name} holds, and which probes can read it"
    return STUDIES[spec.study].title


def _is_known(run_dir: RunDir, material: Material) -> bool:
    """Whether the run folder knows this very material: files may have changed since."""
    is_new: list[bool] = []
    told = {
        "origin": digest(material.origin),
        "families": digest({"families": material.families.tolist()}),
        "targets": [digest({"content": content_of(target.task)}) for target in material.targets],
    }
    run_dir.step("material", inputs=told, outputs=[], do=lambda: is_new.append(True))
    return not is_new
