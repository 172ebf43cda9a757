"""Stages in one process, in two, cut into pieces, killed and gone on: always the same losses."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from llava_core.checkpoint import checkpoint_hash, connect, load_checkpoint, save_checkpoint
from llava_core.model.llava import hf_names

WORKER = Path(__file__).with_name("spread_worker.py")
ROOT = Path(__file__).parents[3]


def start(given, out, *names, launcher=()):
    command = [sys.executable, *launcher, str(WORKER), str(given / "base"), str(given / "examples"), str(out)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def run():
        return subprocess.run(
            [*command, *names], capture_output=True, text=True, timeout=300, env=env, check=False
        )

    done = run()
    # Once in many runs torch's own threads abort a process of several; a stage goes on where it was.
    return run() if launcher and "terminate called without an active exception" in done.stderr else done


@pytest.fixture(scope="module")
def given(drawn, tiny_sizes, tiny_tokenizer, tmp_path_factory):
    from llava_core.train.pretrain import tiny_bundle

    folder = tmp_path_factory.mktemp("given")
    save_checkpoint(
        tiny_bundle(tiny_sizes, tiny_tokenizer, seed=0), folder / "base", stage="fresh", seen_ids=()
    )
    (folder / "examples").write_bytes(pickle.dumps(drawn))
    return folder


@pytest.fixture(scope="module")
def one(given, tmp_path_factory):
    """One process, whole batches."""
    out = tmp_path_factory.mktemp("one")
    done = start(given, out, "full-ddp", "padded-ddp", "lora-ddp", "align-ddp", "full-fsdp-pieces")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def two(given, tmp_path_factory):
    """Two processes over gloo."""
    out = tmp_path_factory.mktemp("two")
    names = ("full-ddp", "full-ddp-pieces", "padded-ddp-pieces", "full-fsdp", "align-ddp", "align-fsdp")
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2")
    done = start(given, out, *names, launcher=launcher)
    assert done.returncode == 0, done.stderr
    return out


def losses(path):
    return [loss for _, loss in json.loads((path / "training.json").read_text())["loss"]]


@pytest.mark.parametrize(
    "name", ["full-ddp", "full-ddp-pieces", "padded-ddp-pieces", "full-fsdp", "align-ddp", "align-fsdp"]
)
def test_two_processes_give_the_losses_of_one(one, two, name):
    alone = losses(one / f"{name.split('-')[0]}-ddp")
    assert len(alone) >= 8
    assert losses(two / name) == pytest.approx(alone, rel=2e-5)


@pytest.mark.parametrize("name", ["full-ddp-pieces", "full-fsdp"])
def test_two_processes_give_the_weights_of_one(one, two, name):
    alone, together = (hf_names(load_checkpoint(path).model) for path in (one / "full-ddp", two / name))
    for weight, tensor in alone.items():
        assert float((tensor - together[weight]).abs().max()) < 2e-3, weight
        assert float((tensor - together[weight]).abs().mean()) < 2e-5, weight


def test_a_shared_out_model_in_one_process_gives_the_same_losses(one):
    assert losses(one / "full-fsdp-pieces") == pytest.approx(losses(one / "full-ddp"), rel=2e-5)


@pytest.mark.parametrize("name", ["full-ddp", "padded-ddp", "lora-ddp"])
def test_a_killed_stage_goes_on_at_the_exact_step(given, one, tmp_path, name):
    killed = start(given, tmp_path, "--die", "8", name)
    assert killed.returncode == 9
    assert not (tmp_path / name).exists()
    states = tmp_path / f"{name}.training"
    (own,) = states.iterdir()
    assert sorted(path.name for path in own.iterdir()) == ["step-00000003", "step-00000006"]
    other = states / "of-other-data" / "step-00000009"
    other.mkdir(parents=True)
    (other / "state.json").write_text("{}")
    rest = start(given, tmp_path, name)
    assert rest.returncode == 0, rest.stderr
    assert "goes on at step 6 of 12" in rest.stdout
    assert losses(tmp_path / name) == losses(one / name)
    assert checkpoint_hash(tmp_path / name) == checkpoint_hash(one / name)
    assert [path.name for path in states.iterdir()] == ["of-other-data"]


def test_a_killed_stage_goes_on_with_another_number_of_processes(given, one, tmp_path):
    assert start(given, tmp_path, "--die", "8", "full-fsdp-pieces").returncode == 9
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2")
    rest = start(given, tmp_path, "full-fsdp-pieces", launcher=launcher)
    assert rest.returncode == 0, rest.stderr
    assert "goes on at step 6 of 12" in rest.stdout
    assert losses(tmp_path / "full-fsdp-pieces") == pytest.approx(losses(one / "full-fsdp-pieces"), rel=2e-5)


def test_lora_moves_the_language_model_by_matrices_of_low_rank(given, one):
    import torch

    before, after = (hf_names(load_checkpoint(path).model) for path in (given / "base", one / "lora-ddp"))
    for name, tensor in before.items():
        moved = after[name] - tensor
        linear = "language_model.layers" in name and tensor.ndim == 2
        if linear:
            assert int(torch.linalg.matrix_rank(moved, rtol=1e-3)) == 4, name
        elif "multi_modal_projector.linear_1" not in name:
            assert not moved.any(), name


@pytest.mark.parametrize("kind", ["query", "gated_cross_attention"])
def test_other_connections_are_spread_as_well(drawn, tiny_sizes, tiny_tokenizer, tmp_path, kind):
    """Pieces without any image, too: what connects the parts must then stay in the graph."""
    from llava_core.train.pretrain import tiny_bundle

    given, names = tmp_path / "given", ("full-ddp-pieces", "full-fsdp", "align-fsdp")
    base = connect(tiny_bundle(tiny_sizes, tiny_tokenizer, seed=0), kind)
    given.mkdir()
    save_checkpoint(base, given / "base", stage="fresh", seen_ids=())
    (given / "examples").write_bytes(pickle.dumps(drawn))
    alone, together = tmp_path / "alone", tmp_path / "together"
    for out in (alone, together):
        out.mkdir()
    done = start(given, alone, "full-ddp", "align-ddp")
    assert done.returncode == 0, done.stderr
    done = start(given, together, *names, launcher=("-m", "torch.distributed.run", "--nproc-per-node", "2"))
    assert done.returncode == 0, done.stderr
    for name in names:
        assert losses(together / name) == pytest.approx(losses(alone / f"{name.split('-')[0]}-ddp"), rel=5e-5)
