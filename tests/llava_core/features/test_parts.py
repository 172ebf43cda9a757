"""Chunks that several processes write, join and remove at once."""

import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from llava_core.features.parts import Parts

N_ROUNDS = 200


def write_join_remove(out: Path, seed: int) -> None:
    rng = random.Random(seed)
    parts = Parts(out=out, key="0123456789abcdef", n_chunks=2)
    for _ in range(N_ROUNDS):
        parts.write(rng.randrange(parts.n_chunks), {"block": np.zeros(3)}, {})
        with parts.joining() as is_whole:
            assert not is_whole or parts.block("block").shape == (6,)
        if rng.random() < 1 / 3:
            parts.remove()


def test_processes_do_not_remove_each_others_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for ended in [pool.submit(write_join_remove, out, seed) for seed in range(4)]:
            ended.result()
    Parts(out=out, key="another one of ours", n_chunks=1).remove()
    assert list(tmp_path.iterdir()) == []
