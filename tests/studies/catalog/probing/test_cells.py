"""Cells with their controls, steps that are not redone, and what the summary says of both."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from studies.catalog.embedding_probe import run
from studies.catalog.probing import cells as cells_module
from studies.catalog.probing import probed as probed_module
from studies.catalog.probing.cells import Bench, chance_credit, probe_cell, selectivity_split
from studies.catalog.probing.probed import file_name
from studies.catalog.probing.summary import memory_frac
from studies.probing import ChoiceTask, ClassTask, Stage
from studies.progress import Silent
from studies.rundir import RunDir, open_run
from studies.spec.base import resolve, to_json
from studies.spec.probing import ProbingSpec

MakeStore = Callable[..., Path]
TIMES = ("fit_s", "predict_s")


def bench(*, of_family: bool, n: int = 240) -> Bench:
    """Vectors that hold the label, or only which family an item is of."""
    rng = np.random.default_rng(0)
    family = np.arange(n) // 4
    kind = rng.integers(8, size=n // 4)[family]
    hidden = rng.normal(size=(n // 4, 8))[family] * 4 if of_family else np.eye(8)[kind] * 6
    vectors = hidden + 0.3 * rng.normal(size=(n, 8))
    items = np.arange(n)
    return Bench(
        stage=Stage(name="s", level="example", vectors=vectors),
        task=ClassTask(labels=np.array(list("abcdefgh"))[kind]),
        groups=family,
        train=items[: n * 2 // 3],
        test=items[n * 2 // 3 :],
        seed=0,
        rank=4,
    )


def test_what_is_planted_is_read_and_the_controls_are_not() -> None:
    cell = probe_cell(bench(of_family=False), "linear")
    assert cell.is_ok
    assert cell.arrays["credit"].mean() > 0.95
    assert cell.arrays["floor"].mean() < 0.4
    assert cell.arrays["real"].mean() - cell.arrays["control"].mean() > 0.3
    assert cell.arrays["rank"].mean() > 0.85
    assert cell.facts["rank"] == 4
    assert cell.facts["bits"]["total"] < 0.75 * cell.facts["bits"]["uniform"]
    sizes = sorted(int(name[6:]) for name in cell.arrays if name.startswith("curve_"))
    assert len(sizes) >= 3
    assert sizes[-1] < 160
    assert all(len(cell.arrays[f"curve_{size}"]) == 80 for size in sizes)


def test_a_probe_that_remembers_families_is_exposed_by_its_selectivity() -> None:
    cell = probe_cell(bench(of_family=True), "forest")
    score, real, control = (cell.arrays[name].mean() for name in ("credit", "real", "control"))
    assert score < 0.3
    assert real > score + 0.3
    assert abs(real - control) < 0.15
    assert cell.facts["bits"]["total"] > 0.9 * cell.facts["bits"]["uniform"]


def test_memory_can_show_only_where_a_family_is_on_both_sides() -> None:
    items = np.arange(200)
    assert memory_frac(items, items, seed=0) == 0
    assert memory_frac(items // 100, items, seed=0) == 1
    inside, _ = selectivity_split(items, seed=0)
    lone = np.where(np.isin(items, inside), 0, items + 1)
    lone[np.setdiff1d(items, inside)[:15]] = 0
    assert memory_frac(lone, items, seed=0) == pytest.approx(15 / 60)


def test_selectivity_never_reads_a_test_item() -> None:
    made = bench(of_family=False)
    inside, outside = selectivity_split(made.train, seed=0)
    assert not np.isin(np.concatenate([inside, outside]), made.test).any()
    assert not np.isin(inside, outside).any()
    other = made.stage.vectors.copy()
    other[made.test] = 0
    blank = Bench(
        stage=Stage(name="s", level="example", vectors=other),
        task=made.task, groups=made.groups, train=made.train, test=made.test, seed=0, rank=4,
    )  # fmt: skip
    found, again = probe_cell(made, "linear"), probe_cell(blank, "linear")
    for name in ("real", "control"):
        np.testing.assert_array_equal(found.arrays[name], again.arrays[name])
    assert found.facts["bits"] == again.facts["bits"]


def test_chance_is_the_commonest_label_or_any_option() -> None:
    labels = ClassTask(labels=np.array(["a", "a", "b", "a", "b"]))
    assert chance_credit(labels, np.array([0, 1, 2]), np.array([3, 4])).tolist() == [1.0, 0.0]
    choice = ChoiceTask(
        question=np.array([0, 0, 1, 1, 1, 1]),
        option=np.array(list("xyxyzw")),
        is_right=np.array([1, 0, 0, 1, 0, 0], dtype=bool),
    )
    assert chance_credit(choice, np.array([0]), np.array([0, 1])).tolist() == [0.5, 0.25]


def test_a_cell_that_fails_is_told_and_scored_as_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(cells_module, "read_out", fail)
    made = bench(of_family=False)
    cell = probe_cell(made, "linear")
    assert cell.facts == {"status": "failed", "error": "ZeroDivisionError: no such luck"}
    np.testing.assert_array_equal(cell.arrays["credit"], chance_credit(made.task, made.train, made.test))
    assert np.isfinite(cell.arrays["log_prob"]).all()


def study(out: Path, source: Path, *settings: str, resume: bool = False, **options: object) -> dict:
    spec = resolve(
        ProbingSpec,
        "embedding_probe",
        settings=["n_boot=50", *settings],
        source=source,
        probes=("linear", "neighbours"),
        **options,
    )
    with open_run(out, spec=to_json(spec), resume=resume, differ=lambda stored: []) as folder:
        run(spec, folder, Silent(), "studies probe")
    return json.loads((out / "summary.json").read_text())


def untimed(summary: dict) -> dict:
    del summary["provenance"]
    for cell in summary["cells"]:
        for name in TIMES:
            cell[name] = None
    return summary


def test_names_that_look_alike_in_a_file_name_stay_apart() -> None:
    assert file_name("probe", "kind", "projector_1") == "probe.kind.projector_1"
    assert len({file_name("probe", name) for name in ("a b", "a_b", "a/b", "a" * 70, "a" * 71)}) == 5


@pytest.fixture
def kinds(make_store: MakeStore) -> tuple[Path, str]:
    store = make_store()
    return store, str(store.parent / "kinds.csv")


def test_a_store_gives_the_planted_answers(kinds: tuple[Path, str], tmp_path: Path) -> None:
    store, labels = kinds
    blocks = ("clip_image_patches", "projector", "llm_hidden", "clip_layers")
    found = study(tmp_path / "run", store, targets=(labels, "has_image"), blocks=blocks)
    assert {target["name"]: target["kind"] for target in found["targets"]} == {
        "kind": "class",
        "has_image": "class",
    }
    cell = {(c["target"], c["stage"], c["probe"]): c for c in found["cells"]}
    assert cell["kind", "projector", "linear"]["score"]["value"] > 0.9
    assert cell["kind", "clip_layers_-4", "linear"]["score"]["value"] < 0.6
    assert cell["kind", "llm_hidden_-1", "linear"]["score"]["value"] < 0.7
    assert ("has_image", "projector", "linear") not in cell
    random = cell["kind", "projector", "linear"]["random_projector"]
    assert random["of"] == "clip_image_patches"
    assert random["score"]["value"] > 0.9
    assert cell["kind", "clip_image_patches", "linear"]["random_projector"] is None
    pairs = {(row["a"], row["b"]) for row in found["comparisons"] if row["target"] == "kind"}
    assert pairs == {
        ("clip_layers_-4", "clip_image_patches"), ("clip_layers_-1", "clip_image_patches"),
        ("projector", "clip_image_patches"),
        ("llm_hidden_-3", "projector"), ("llm_hidden_-1", "projector"),
    }  # fmt: skip
    assert all(row["p"] <= row["p_holm"] <= 1 for row in found["comparisons"])
    erased = {(row["concept"], row["stage"]): row for row in found["erasure"]}
    projector = erased["kind", "projector"]
    assert (projector["n_classes"], projector["rank"]) == (3, 2)
    assert projector["before"]["linear"]["value"] > 0.9
    assert projector["after"]["linear"]["value"] < 0.6
    assert found["answers_erased"] == []
    assert found["hard"]["kind"]["probe"] == "linear"
    assert len(found["hard"]["kind"]["items"]) == 12
    worst = [max(item["bits"].values()) for item in found["hard"]["kind"]["items"]]
    assert worst == sorted(worst)
    assert found["similarity"]["cka"][0][1] is None  # the first layer is the same for all
    assert found["similarity"]["cka"][1][2] == pytest.approx(1)
    assert "'LLM, layer -1' against 'Projector, after stage 2'" in found["verdict"]["sentence"]
    assert f"({found['targets'][0]['n_test']} questions of" in found["verdict"]["sentence"]
    assert [target["n_test_unseen"] for target in found["targets"]] == [0, 0]


def test_the_answer_is_read_off_options(make_store: MakeStore, tmp_path: Path) -> None:
    found = study(tmp_path / "run", make_store(), targets=("answer",), blocks=("llm_hidden",))
    score = {(c["stage"], c["probe"]): c["score"]["value"] for c in found["cells"]}
    assert score["llm_hidden_-1", "linear"] > 0.9
    assert score["llm_hidden_-3", "linear"] < 0.6
    assert found["targets"][0]["chance"] == pytest.approx(0.35, abs=0.07)
    assert found["erasure"] == []


def test_a_run_that_was_cut_off_redoes_no_step_and_ends_the_same(
    kinds: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, labels = kinds
    chosen = {"targets": (labels,), "blocks": ("clip_image_patches", "projector")}
    whole = study(tmp_path / "whole", store, "jobs=1", **chosen)
    done: list[str] = []

    def counting(bench: Bench, probe: str, *, whole: bool = True) -> object:
        if len(done) == 3:
            done.append("cut")
            raise KeyboardInterrupt
        done.append(f"{bench.stage.name} {probe}")
        return probe_cell(bench, probe, whole=whole)

    monkeypatch.setattr(probed_module, "probe_cell", counting)
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "cut", store, "jobs=1", **chosen)
    resumed = study(tmp_path / "cut", store, "jobs=1", resume=True, **chosen)
    assert done == [
        "clip_image_patches linear", "clip_image_patches neighbours", "projector linear", "cut",
        "projector linear", "projector neighbours", "random_projector linear", "random_projector neighbours",
    ]  # fmt: skip
    assert untimed(resumed) == untimed(whole)


def test_a_family_of_probes_that_fails_is_listed_and_compared_with_nothing(
    kinds: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(made: Bench, probe: str, *, whole: bool = True) -> object:
        return probe_cell(made, "no such" if probe == "neighbours" else probe, whole=whole)

    monkeypatch.setattr(probed_module, "probe_cell", failing)
    store, labels = kinds
    found = study(
        tmp_path / "run", store, "jobs=1", targets=(labels,), blocks=("clip_image_patches", "projector")
    )
    failed = [cell for cell in found["cells"] if cell["status"] == "failed"]
    assert [cell["probe"] for cell in failed] == ["neighbours"] * 2
    assert all("got probe 'no such'" in cell["error"] for cell in failed)
    assert all(cell["score"]["value"] == found["targets"][0]["chance"] for cell in failed)
    assert {row["probe"] for row in found["comparisons"]} == {"linear"}
    assert "2 of 4 cells failed and are scored as chance." in found["verdict"]["details"]
    assert "no such" in (tmp_path / "run" / "report.html").read_text()


def test_results_do_not_depend_on_the_number_of_jobs(kinds: tuple[Path, str], tmp_path: Path) -> None:
    store, labels = kinds
    chosen = {"targets": (labels,), "blocks": ("clip_image_patches", "projector")}
    one, two = (study(tmp_path / jobs, store, f"jobs={jobs}", **chosen) for jobs in ("1", "2"))
    assert untimed(one) == untimed(two)


def test_a_finished_run_is_left_alone_unless_its_labels_changed(
    kinds: tuple[Path, str], tmp_path: Path
) -> None:
    store, labels = kinds
    chosen = {"targets": (labels,), "blocks": ("projector",)}
    study(tmp_path / "run", store, "jobs=1", **chosen)
    manifest = tmp_path / "run" / "manifest.json"
    before = manifest.stat().st_mtime_ns
    study(tmp_path / "run", store, "jobs=1", resume=True, **chosen)
    assert manifest.stat().st_mtime_ns == before
    assert RunDir(path=tmp_path / "run").finished
    text = Path(labels).read_text()
    Path(labels).write_text(text.replace("rock", "leaf"))
    again = study(tmp_path / "run", store, "jobs=1", resume=True, **chosen)
    assert again["targets"][0]["n_classes"] == 2
