import typing
from dataclasses import fields
from pathlib import Path
from unittest import mock

import pytest

from llava_core.errors import InputError
from llava_core.settings import parse_value
from studies.catalog.probing.bring import bring_material
from studies.catalog.reopened import reopen_ground
from studies.rundir import RunDir
from studies.spec import base as specs
from studies.spec.base import StudySpec, resolve
from studies.spec.ensemble import EnsembleSpec
from studies.spec.probing import ProbingSpec


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("folds=7", "folds", 7),
        ("level=0.9", "level", 0.9),
        ("ablation=false", "ablation", False),
        ("memory=question", "memory", "question"),
        ("curve_trees=1, 2,3", "curve_trees", (1, 2, 3)),
        ("curve_xgbs=", "curve_xgbs", ()),
    ],
)
def test_a_setting_takes_the_type_of_its_field(setting: str, field: str, value: object) -> None:
    assert getattr(resolve(EnsembleSpec, "s", settings=[setting]), field) == value


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("fold=7", "folds"),
        ("folds", "field=value"),
        ("folds=many", "a whole number"),
        ("folds=1", "2 or more"),
        ("level=1", "between 0 and 1"),
        ("ablation=maybe", "true or false"),
        ("curve_trees=1,x", "comma-separated"),
        ("curve_trees=0", "below 1"),
        ("memory=none", "auto, family, question"),
        ("seed=3", "folds"),
    ],
)
def test_a_bad_setting_names_what_is_allowed(setting: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        resolve(EnsembleSpec, "s", settings=[setting])


def test_an_unknown_preset_lists_the_presets() -> None:
    with pytest.raises(InputError, match="'fast', allowed are default, published, quick"):
        resolve(EnsembleSpec, "s", preset="fast")


def test_options_win_over_settings_and_settings_over_the_preset() -> None:
    assert resolve(EnsembleSpec, "s", preset="quick").trials == EnsembleSpec.PRESETS["quick"]["trials"]
    spec = resolve(EnsembleSpec, "s", preset="quick", settings=["folds=3"], trials=9)
    assert (spec.folds, spec.trials, spec.preset) == (3, 9, "quick")


@pytest.mark.parametrize("preset", EnsembleSpec.PRESETS)
def test_every_preset_survives_its_file(preset: str, tmp_path: Path) -> None:
    spec = resolve(
        EnsembleSpec, "s", preset=preset, data=Path("d"), llm_answers=(Path("a.json"), Path("b.json"))
    )
    assert specs.from_json(EnsembleSpec, specs.to_json(spec), path=tmp_path) == spec


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"study": "s", "no_such_field": 1}'])
def test_a_broken_file_is_told_with_its_path(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        specs.from_json(EnsembleSpec, text, path=tmp_path)


def test_differences_leave_the_free_fields_out(tmp_path: Path) -> None:
    stored = specs.to_json(resolve(EnsembleSpec, "s"))
    for settings, seed, told in ((["jobs=1"], 0, []), ([], 4, ["seed: 0, 4"])):
        given = resolve(EnsembleSpec, "s", settings=settings, seed=seed)
        assert specs.differences(given, stored, path=tmp_path) == told
    other = resolve(StudySpec, "probe")
    assert specs.differences(other, stored, path=tmp_path) == ["study: s, probe"]
    with pytest.raises(InputError, match="broken specification"):
        specs.differences(other, "{", path=tmp_path)


def test_a_relative_path_is_told_to_be_seen_from_where_the_run_was_started(tmp_path: Path) -> None:
    elsewhere = " (as seen from the folder that the run was started in)"
    given = resolve(EnsembleSpec, "s", data=Path("../d"), features=tmp_path)
    for data, hint in ((Path("d"), elsewhere), (tmp_path, "")):
        stored = specs.to_json(resolve(EnsembleSpec, "s", data=data, features=tmp_path))
        assert specs.differences(given, stored, path=tmp_path) == [f"data: {data}, ../d{hint}"]


def test_what_a_run_was_given_and_is_gone_is_told_with_run_and_field(tmp_path: Path) -> None:
    file, gone = tmp_path / "spec.json", tmp_path / "gone"
    specs.check_places(resolve(EnsembleSpec, "s", features=tmp_path), "data", "features", path=file)
    for options, told in (
        ({"data": Path("d1")}, r"spec\.json, field data: the run was given d1, .* \(as seen from the folder"),
        ({"llm_answers": (tmp_path, gone)}, f"spec\\.json, field llm_answers: .*{gone}, which is not there$"),
    ):
        with pytest.raises(InputError, match=told):
            specs.check_places(resolve(EnsembleSpec, "s", **options), *options, path=file)


def test_commands_that_read_anew_what_a_run_was_given_look_for_it_first(tmp_path: Path) -> None:
    spec = resolve(EnsembleSpec, "ensemble_vs_llm", data=tmp_path / "gone")
    (tmp_path / "spec.json").write_text(specs.to_json(spec))
    (tmp_path / "summary.json").write_text('{"schema_version": 1, "study": "ensemble_vs_llm"}')
    run, told = (
        RunDir(path=tmp_path),
        r"spec\.json, field data: the run was given .*gone, which is not there$",
    )
    run.finish({})
    with pytest.raises(InputError, match=told):
        reopen_ground(spec, run, mock.Mock())
    with pytest.raises(InputError, match=told):
        bring_material(resolve(ProbingSpec, "embedding_probe", source=tmp_path), run, mock.Mock())


def test_an_option_of_another_study_is_refused() -> None:
    with pytest.raises(InputError, match=r"field --llm-answers: probe has no such option"):
        resolve(StudySpec, "probe", llm_answers=(Path("a.json"),))


def test_every_setting_can_be_given_as_text() -> None:
    hints = typing.get_type_hints(EnsembleSpec)
    for name in specs.setting_names(EnsembleSpec):
        default = getattr(EnsembleSpec(study="s"), name)
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        assert parse_value(hints[name], text, name=name) == default
    names = {field.name for field in fields(EnsembleSpec)}
    assert names == {*specs.setting_names(EnsembleSpec), *(names & set(specs.OPTION_FIELDS))}


def test_a_store_and_a_checkpoint_together_are_refused() -> None:
    with pytest.raises(InputError, match="field llava: got --llava beside --features"):
        resolve(EnsembleSpec, "s", llava=Path("a"), features=Path("b"))
