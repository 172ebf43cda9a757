from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llava_core.errors import InputError
from llava_core.train.loop import Trace
from llava_core.train.processes import join
from llava_core.train.state import load_state, save_state


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """States of a model of one weight, of which the last file is returned."""
    model, optimizer = started()
    trace = Trace(n_steps=3, loss=(), open_loss=(), seconds=0.0, cpu_seconds=0.0)
    save_state(tmp_path, model, optimizer, trace, inputs="k", keep=1, here=join("cpu", strategy="ddp"))
    (file,) = tmp_path.glob("step-00000003/*.safetensors")
    return file


def started() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = torch.nn.Linear(1, 1, bias=False)
    return model, torch.optim.AdamW(model.parameters())


def test_a_state_gives_back_weights_and_step(saved: Path) -> None:
    model, optimizer = started()
    trace = load_state(saved.parents[1], model, optimizer, inputs="k")
    assert trace is not None
    assert trace.n_steps == 3
    assert torch.equal(model.weight, load_file(saved)["weight"])


def test_a_state_that_lacks_weights_is_refused(saved: Path) -> None:
    told = load_file(saved)
    save_file({name: tensor for name, tensor in told.items() if name != "weight"}, saved)
    with pytest.raises(InputError, match="lacks the weights weight"):
        load_state(saved.parents[1], *started(), inputs="k")
    saved.unlink()
    with pytest.raises(InputError, match="lacks the weights weight"):
        load_state(saved.parents[1], *started(), inputs="k")
