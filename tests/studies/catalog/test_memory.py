import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llava_core.data.example import Example
from llava_core.features.store import FeatureStore
from studies.catalog import memory
from studies.catalog.memory import Need, ensemble_need, with_room
from studies.catalog.provenance import Peak
from studies.pipeline import Checkpoints
from studies.spec.ensemble import EnsembleSpec

NEED = Need(fixed=2e9, per_worker=1e9)


class Notes:
    """Progress that keeps what is noted."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def stage(self, title: str) -> Callable[[int, int], None]:
        return lambda done, total: None

    def note(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], tuple[EnsembleSpec, Peak, Notes]]:
    """Spec of four workers in a process that holds 0.5 GB, where so much may be held."""
    monkeypatch.setattr(memory, "held_bytes", lambda: 0.5e9)

    def build(free: float) -> tuple[EnsembleSpec, Peak, Notes]:
        monkeypatch.setattr(memory, "free_bytes", lambda: free)
        return EnsembleSpec(study="ensemble_vs_llm", jobs=4), Peak(), Notes()

    return build


def test_what_has_room_is_told_and_kept(given: Callable[[float], Any]) -> None:
    spec, peak, notes = given(8e9)
    assert with_room(spec, NEED, peak, notes) == spec
    assert notes.told == ["the study needs at most 6.5 GB of memory with 4 workers; 8.0 GB are free"]
    assert peak.told() == {"peak_rss_bytes": 0, "announced_bytes": 6_500_000_000}


def test_fewer_workers_where_there_is_no_room_for_all(given: Callable[[float], Any]) -> None:
    for free, n_workers in ((6.4e9, 3), (4.5e9, 2), (3.5e9, 1)):
        spec, peak, notes = given(free)
        assert with_room(spec, NEED, peak, notes).jobs == n_workers
        assert peak.announced_bytes == 2.5e9 + n_workers * 1e9
        assert f"{n_workers} worker{'s' * (n_workers > 1)}, 4 were asked for" in notes.told[0]


def test_no_room_for_one_worker_is_told_and_tried(given: Callable[[float], Any]) -> None:
    spec, peak, notes = given(1.4e9)
    assert with_room(spec, NEED, peak, notes).jobs == 1
    assert notes.told == [
        "the study needs at most 3.5 GB of memory with 1 worker, 4 were asked for; "
        "only 1.4 GB are free, it may run out"
    ]


def test_a_study_without_workers_says_nothing_of_them(given: Callable[[float], Any]) -> None:
    spec, peak, notes = given(8e9)
    assert with_room(spec, Need(fixed=2e9), peak, notes) == spec
    assert notes.told == ["the study needs at most 2.5 GB of memory; 8.0 GB are free"]


def test_rows_folds_vectors_and_a_llava_that_is_asked_count(
    make_example: Callable[..., Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = ([make_example(f"q{i}") for i in range(n)] for n in (10, 1000))
    block = SimpleNamespace(shape=(1000, 50), dtype="float32")
    store = cast("FeatureStore", SimpleNamespace(blocks={"one": block, "two": block}))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    llava = cast("Checkpoints", SimpleNamespace(costs={"size_bytes": 10e6}))

    def need(examples: list[Example], folds: int = 4, *given: Any, on_gpu: bool = False) -> Need:
        spec = EnsembleSpec(study="ensemble_vs_llm", folds=folds)
        return ensemble_need(spec, examples, *(given or (None, None)), on_gpu=on_gpu)

    assert need(many).per_worker > need(few).per_worker
    matrix = 4 * memory.FEATURES * 3 * 1000
    assert need(many, 9).fixed - need(many, 4).fixed == 5 * 2 * matrix
    assert need(many, 4, store, None).fixed - need(many).fixed == memory.OF_STORE * 2 * 1000 * 50 * 4
    asked = need(many, 4, None, llava).fixed - need(many).fixed
    assert asked == memory.TORCH + (2 + memory.OF_WEIGHTS) * 10e6
    assert need(many, 4, None, llava, on_gpu=True).fixed - need(many).fixed == memory.TORCH
