import dataclasses
import json
import sys

import pytest

from llava_core.errors import InputError
from llava_core.recipes import mini_cpu
from llava_core.train.run import run_stage
from llava_core.train.run_config import RunConfig

SHORT = dataclasses.replace(mini_cpu().align, batch_size=6, n_epochs=2)


def test_tensorboard_shows_every_step(bundle, drawn, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = RunConfig(device="cpu", trackers=("tensorboard",))
    run_stage(SHORT, bundle, drawn, out=tmp_path / "align", seed=0, run=run, n_threads=1)
    events = EventAccumulator(str(tmp_path / "align.logs"))
    events.Reload()
    losses = events.Scalars("loss")
    assert [event.step for event in losses] == list(range(1, 9))
    assert losses[-1].value == pytest.approx(
        json.loads((tmp_path / "align" / "training.json").read_text())["loss"][-1][1], rel=1e-6
    )
    assert events.Scalars("lr")[0].value == pytest.approx(2e-3)


@pytest.mark.parametrize(("name", "module"), [("wandb", "wandb"), ("tensorboard", "torch.utils.tensorboard")])
def test_a_tracker_that_is_not_installed_is_named(bundle, drawn, tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    run = RunConfig(device="cpu", trackers=(name,))
    with pytest.raises(InputError, match=f"got {name}, which is not installed: pip install {name}"):
        run_stage(SHORT, bundle, drawn, out=tmp_path / "align", seed=0, run=run, n_threads=1)


def test_weights_and_biases_is_told_through_its_own_run(bundle, drawn, tmp_path, monkeypatch):
    """A double of the package: it is not among the test dependencies."""
    told = []

    class Run:
        def log(self, values, *, step):
            told.append((step, set(values)))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            told.append("finished")

    class Wandb:
        @staticmethod
        def init(**options):
            told.append(set(options))
            return Run()

    monkeypatch.setitem(sys.modules, "wandb", Wandb)
    run = RunConfig(device="cpu", trackers=("wandb",))
    run_stage(SHORT, bundle, drawn, out=tmp_path / "align", seed=0, run=run, n_threads=1)
    assert told[0] == {"dir", "config"}
    assert told[1:-1] == [(step, {"loss", "lr", "steps_per_s"}) for step in range(1, 9)]
    assert told[-1] == "finished"
