"""Pages that are rendered again into a finished run."""

import json
from pathlib import Path

import pytest

from studies.catalog import outputs, tuning_report
from studies.rundir import RunDir
from studies.verified import verify_run


@pytest.mark.parametrize("command", [outputs.render, outputs.write_tuning_report])
def test_pages_of_a_command_that_was_cut_off_do_not_look_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command
) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"schema_version": 1, "study": "s", "title": "t"}))
    for name in ("optuna.html", "optuna.json", "report.html"):
        (tmp_path / name).write_text("old")
    RunDir(path=tmp_path).finish({})

    def write_and_fail(*_: object, **__: object) -> None:
        (tmp_path / "optuna.html").write_text("new")
        raise RuntimeError

    monkeypatch.setattr(outputs, "_RENDERERS", {"s": write_and_fail})
    monkeypatch.setattr(tuning_report, "report_on_run", write_and_fail)
    with pytest.raises(RuntimeError):
        command(tmp_path)
    found = verify_run(tmp_path, lambda *_: None)
    assert (found.changed, found.missing, found.added) == ((), (), ("optuna.html",))
