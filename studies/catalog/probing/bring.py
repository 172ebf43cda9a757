"""Brings a run to what it probes: from bundled data, a store, a finished run or a file [edge]."""

from dataclasses import replace
from pathlib import Path

from llava_core.data.example import Dataset
from llava_core.errors import InputError
from llava_core.features.store import MANIFEST_FILE, FeatureStore
from studies.catalog import STUDIES, audit
from studies.catalog.outputs import read_summary
from studies.catalog.probing.from_file import material_of_file
from studies.catalog.probing.from_store import is_bundled, material_of_store
from studies.catalog.probing.material import Material
from studies.catalog.probing.stages import chosen_stages, store_stages
from studies.catalog.probing.targets import needs_data
from studies.catalog.protocol import choose_protocol
from studies.pipeline import (
    bring_checkpoints,
    bring_store,
    check_recipe,
    load_data,
    load_file,
    run_checkpoints,
)
from studies.progress import Progress
from studies.rundir import SPEC_FILE, RunDir
from studies.spec.base import check_places, from_json
from studies.spec.probing import ProbingSpec
from studies.verified import checked


def bring_material(spec: ProbingSpec, run: RunDir, progress: Progress) -> Material:
    """Return what the run probes.

    Raises
    ------
    InputError
        For a source, target or block that cannot be used.
    """
    source = spec.source
    if source is None:
        return _through_llava(spec, run, progress)
    if not source.exists():
        raise InputError("no such file or folder", path=source)
    if source.is_file():
        return material_of_file(spec, source)
    if spec.groups is not None:
        raise InputError("got families for a feature store, which says them itself", field="groups")
    if (source / SPEC_FILE).is_file():
        return _of_run(spec, source, run, progress)
    store = FeatureStore.open(source)
    return material_of_store(spec, store, _dataset_of(spec, store, run, progress))


def _through_llava(spec: ProbingSpec, run: RunDir, progress: Progress) -> Material:
    """Bring data, LLaVA and features to the run, as `ensemble_vs_llm` does."""
    if spec.groups is not None:
        raise InputError("got families for a data set, which says them itself", field="groups")
    check_recipe(spec)
    dataset = load_data(spec, run, progress)
    protocol = choose_protocol(dataset, seed=spec.seed, limit=spec.limit)
    checks = audit.audit_parts(protocol)
    audit.enforce(checks, allow_leak=spec.allow_leak)
    llava = bring_checkpoints(
        spec, run, protocol.train_llm, fingerprint=dataset.fingerprint, progress=progress
    )
    scored = protocol.headline if protocol.name == "bundled" else protocol.test
    examples = (*protocol.train, *scored)
    store = bring_store(
        spec, run, llava, examples,
        fingerprint=dataset.fingerprint, progress=progress, clip_layers=spec.clip_layers,
    )  # fmt: skip
    if store is None:
        raise InputError(
            f"got parts {', '.join(dataset.splits) or 'none'} and no LLaVA; allowed are a part train_llm to "
            "train one on, --llava CHECKPOINT and --features STORE",
            field="data",
        )
    part = {example.id: str(example.split) for example in examples}
    return material_of_store(spec, store, dataset, part=part, checkpoints=llava, checks=checks)


def _of_run(spec: ProbingSpec, source: Path, run: RunDir, progress: Progress) -> Material:
    """Take features, data and LLaVA of a finished run."""
    study = str(read_summary(source)["study"])
    file = checked(source, SPEC_FILE)
    made = from_json(STUDIES[study].spec, file.read_text("utf-8"), path=file)
    check_places(made, "features", *(("data",) if spec.data is None else ()), path=file)
    own = source / "features"
    features = own if (own / MANIFEST_FILE).is_file() else made.features
    if features is None:
        raise InputError(f"got a run of {study} without features, allowed is one with LLaVA", path=source)
    store = FeatureStore.open(features)
    kept = source / "data"
    path = made.data if made.data is not None else kept if kept.is_dir() else None
    if spec.data is None and path is not None:
        spec = replace(spec, data=path)
    dataset = _dataset_of(spec, store, run, progress)
    return material_of_store(spec, store, dataset, checkpoints=run_checkpoints(made, source))


def _dataset_of(spec: ProbingSpec, store: FeatureStore, run: RunDir, progress: Progress) -> Dataset | None:
    """Return the data set of a store: the named one, the bundled one, or None where no target needs it.

    Raises
    ------
    InputError
        If a target needs it and it is not named, or another is.
    """
    fingerprint = store.manifest.get("data_fingerprint")
    if spec.data is not None:
        dataset = load_file(spec.data, progress)
        if dataset.fingerprint != fingerprint:
            raise InputError(
                f"got data of fingerprint {dataset.fingerprint[:12]}, "
                f"allowed is the store's, {str(fingerprint)[:12]}",
                path=spec.data,
            )
        return dataset
    levels = [info.stage.level for info in chosen_stages(store_stages(store), spec.blocks)]
    needing = next((told for told in spec.targets if needs_data(told, levels)), None)
    if is_bundled(store):
        dataset = load_data(spec, run, progress)
        if dataset.fingerprint == fingerprint:
            return dataset
    if needing is not None:
        raise InputError(
            f"got target {needing} of a store whose data is not the bundled one; allowed is --data DATA",
            field="data",
        )
    return None
