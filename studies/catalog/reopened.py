"""The ground of a run that is there already, laid again to learn more of its methods [edge].

Nothing is trained, extracted or downloaded, and no step is done anew: data and feature store are opened
where the run left them, and have to be those that its members were tuned on. Left out: what only the
scoring needs.
"""

import json
from pathlib import Path

from llava_core.errors import InputError
from llava_core.evaluation.answers import read_answers
from llava_core.features.store import FeatureStore
from studies.catalog.ground import Ground, lay_ground
from studies.catalog.protocol import choose_protocol
from studies.catalog.published import answered_by_all
from studies.pipeline import load_file
from studies.progress import Progress
from studies.rundir import SPEC_FILE, RunDir
from studies.spec.base import check_places
from studies.spec.ensemble import EnsembleSpec

FREE = ("version",)
"""Parts of a ground's key that may have changed: the trials are checked by their scores."""


def reopen_ground(spec: EnsembleSpec, run: RunDir, progress: Progress) -> Ground:
    """Return the ground that a run's members were tuned on.

    Raises
    ------
    InputError
        If data or features are missing, or are not those of the run.
    """
    check_places(spec, "data", "features", "llm_answers", path=run.path / SPEC_FILE)
    dataset = load_file(spec.data or run.path / "data", progress)
    answers = [read_answers(path, dataset) for path in spec.llm_answers]
    protocol = choose_protocol(dataset, seed=spec.seed, limit=spec.limit, answered=answered_by_all(answers))
    place, store = spec.features or run.path / "features", None
    if spec.features is not None or place.is_dir():
        store = FeatureStore.open(place, data_fingerprint=dataset.fingerprint)
    return lay_ground(spec, run, protocol, fingerprint=dataset.fingerprint, store=store)


def check_tuned_on(ground: Ground, member: str) -> None:
    """Check that a member was tuned on a ground.

    Raises
    ------
    InputError
        If it was not tuned, or on other data, features or folds.
    """
    marker = ground.run.path / "steps" / f"tune.{member}.json"
    record = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else {}
    if record.get("state") != "done":
        raise InputError(f"{member} is not tuned; finish the run with --resume", path=Path(ground.run.path))
    # As it was written: tuples come back as lists.
    key = json.loads(json.dumps(dict(ground.key), default=str))
    other = [name for name, value in key.items() if name not in FREE and record["inputs"].get(name) != value]
    if other:
        raise InputError(
            f"{member} was tuned on other questions or features than are there now; "
            f"what differs: {', '.join(other)}",
            path=Path(ground.run.path),
        )
