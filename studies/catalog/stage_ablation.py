"""The study `stage_ablation`: what each stage, projector and layer is worth, and two other ways to connect.

Each variant trains the same tower and language model on the same questions, with the same steps in each stage
that it has, and answers the same test questions. Every difference is to the reference (both stages, linear
projector, last layer of CLIP but one) and paired by question. With several seeds a question's credit is its
mean over the seeds; seed and question variation are told apart (`studies.stats.components`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.data.example import Dataset, Example
from llava_core.errors import InputError
from studies.catalog import audit, provenance
from studies.catalog.ablation_probes import PROBES, READINGS, probe_chance, probe_credits
from studies.catalog.ablation_summary import build_summary
from studies.catalog.memory import ablation_need, with_room
from studies.catalog.outputs import REPORT_FILE, write_outputs
from studies.catalog.probing.cells import N_SHUFFLES
from studies.catalog.protocol import Protocol, choose_protocol
from studies.catalog.scoring import question_scores
from studies.files import write_npz
from studies.pipeline import check_recipe, load_data, used_gpu
from studies.predictions import build_predictions
from studies.progress import Progress
from studies.rundir import Facts, RunDir
from studies.spec.ablation import AblationSpec
from studies.spec.base import DEFAULT_RECIPE
from studies.variants import answer_variant, train_variant


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Found:
    """What a variant came to."""

    credit: NDArray[np.float64]
    """(n_questions, n_seeds) on the headline questions."""
    probes: Mapping[str, Mapping[str, NDArray[np.float64]]]
    """Probe to each of its readings (`ablation_probes.READINGS`), (n_questions, n_seeds) credit."""
    training: Sequence[Facts]
    """By seed."""


def run(spec: AblationSpec, run_dir: RunDir, progress: Progress, command: str) -> Path:
    """Run the study in an open run folder and return the path of its report.

    Parameters
    ----------
    spec : AblationSpec
    run_dir : RunDir
    progress : Progress
    command : str
        As typed, for the report.

    Raises
    ------
    InputError
        If the data has no part for LLaVA to learn from, or the leakage audit fails.
    """
    if run_dir.finished:
        return run_dir.path / REPORT_FILE
    run_dir.reopen()
    started, begun = datetime.now(UTC), perf_counter()
    check_recipe(spec)
    dataset = load_data(spec, run_dir, progress)
    protocol = choose_protocol(dataset, seed=spec.seed, limit=spec.limit)
    if not protocol.train_llm:
        raise InputError(
            f"got parts {', '.join(dataset.splits) or 'none'}, the study trains LLaVA on a part train_llm",
            field="data",
        )
    checks = audit.audit_parts(protocol)
    audit.enforce(checks, allow_leak=spec.allow_leak)
    with provenance.watch_memory() as peak:
        if spec.recipe == DEFAULT_RECIPE:  # others tell what they need themselves
            spec = with_room(spec, ablation_need((*protocol.train_llm, *protocol.used)), peak, progress)
        found: dict[str, Found] = {}
        tables = []
        for name in spec.variants:
            found[name], table = _variant(spec, run_dir, dataset, protocol, name, progress)
            tables.append(table)
        summary = build_summary(
            spec,
            dataset,
            protocol,
            found,
            checks=[asdict(check) for check in checks],
            chance=probe_chance(_probed(protocol), n_train=_n_probe_train(protocol)),
            provenance={
                "command": command,
                "seed": spec.seed,
                **provenance.reproducibility([provenance.LLAVA_ON_GPU] if used_gpu(spec, run_dir) else []),
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
    return write_outputs(run_dir, pd.concat(tables, ignore_index=True), protocol.headline, summary)


def _variant(
    spec: AblationSpec,
    run_dir: RunDir,
    dataset: Dataset,
    protocol: Protocol,
    name: str,
    progress: Progress,
) -> tuple[Found, pd.DataFrame]:
    """Train a variant with every seed, ask it, and probe its vectors."""
    asked = [*_probed(protocol), *(e for e in protocol.headline if not e.has_image)]
    n_train, n_probed = _n_probe_train(protocol), len(_probed(protocol))
    ids = [example.id for example in protocol.headline]
    credit, probes, training, tables = [], [], [], []
    for seed in spec.seeds:
        training.append(
            train_variant(
                spec, run_dir, name, seed, protocol.train_llm,
                fingerprint=dataset.fingerprint, progress=progress,
            )
        )  # fmt: skip
        scores, vectors = answer_variant(
            spec, run_dir, name, seed, asked, fingerprint=dataset.fingerprint, progress=progress
        )
        table = _predictions(scores, asked, name, seed)
        table = table[table["example_id"].isin(set(ids))]
        tables.append(table)
        credit.append(question_scores(table, ids).credit)
        probes.append(_probe(spec, run_dir, name, seed, vectors, asked[:n_probed], n_train, progress))
    return (
        Found(
            credit=np.stack(credit, 1),
            probes={
                probe: {name: np.stack([each[f"{probe}.{name}"] for each in probes], 1) for name in READINGS}
                for probe in PROBES
            },
            training=training,
        ),
        pd.concat(tables, ignore_index=True),
    )


def _probe(
    spec: AblationSpec,
    run_dir: RunDir,
    name: str,
    seed: int,
    vectors: Mapping[str, NDArray[Any]],
    asked: Sequence[Example],
    n_train: int,
    progress: Progress,
) -> dict[str, NDArray[np.float64]]:
    """Return the credits of the probes as ``PROBE.READING``, fitted once."""
    file = f"variants/{name}/{seed}/probes.npz"
    n_options = sum(len(example.options) for example in asked)

    def probe() -> None:
        progress.stage(f"{name}, seed {seed}: probes")
        used = {
            "image_tokens": vectors["image_tokens"][: len(asked)],
            "llm_hidden": vectors["llm_hidden"][:n_options],
        }
        found = probe_credits(used, asked, n_train=n_train, seed=spec.seed)
        write_npz(
            run_dir.path / file,
            {f"{key}.{reading}": found[key][reading] for key in PROBES for reading in READINGS},
        )

    answered = (run_dir.path / "steps" / f"answer.{name}.{seed}.json").read_text(encoding="utf-8")
    run_dir.step(
        f"probe.{name}.{seed}",
        inputs={"answers": answered, "seed": spec.seed, "readings": READINGS, "shuffles": N_SHUFFLES},
        outputs=[file],
        do=probe,
    )
    with np.load(run_dir.path / file) as kept:
        return {key: kept[key] for key in kept.files}


def _probed(protocol: Protocol) -> list[Example]:
    """Image questions that probes are fitted on, then those they are scored on."""
    return [e for e in (*protocol.train, *protocol.headline) if e.has_image]


def _n_probe_train(protocol: Protocol) -> int:
    return sum(example.has_image for example in protocol.train)


def _predictions(scores: pd.DataFrame, asked: Sequence[Example], name: str, seed: int) -> pd.DataFrame:
    """Return the predictions table of a variant: the softmax of the likelihoods per token."""
    question = pd.factorize(scores["example_id"])[0]
    by = scores["mean_logprob"].groupby(question)
    raised = (scores["mean_logprob"] - by.transform("max")).map(np.exp)
    prob = raised / raised.groupby(question).transform("sum")
    answer = {example.id: example.answer for example in asked}
    return build_predictions(
        name,
        example_ids=scores["example_id"],
        option_index=scores["option_index"],
        y=(scores["example_id"].map(answer) == scores["option_index"]).astype(int),
        prob=prob,
        seed=seed,
    )
