"""Trains the tiny model, in one process or under ``torchrun``: test_spread.py starts it and reads its files.

Usage: spread_worker.py BASE EXAMPLES OUT [--die STEP] STAGE-STRATEGY[-pieces] ...
"""

import os
import pickle  # of the test's own examples, for the test's own process
import sys
from dataclasses import replace
from pathlib import Path

from llava_core.checkpoint import load_checkpoint
from llava_core.recipes import mini_cpu
from llava_core.train.lora import LoraSettings
from llava_core.train.run import run_stage
from llava_core.train.run_config import RunConfig

FINETUNE = replace(
    mini_cpu().finetune, batch_size=6, n_epochs=2, describe_epochs=0, packing=True, shuffle_options=False
)
STAGES = {
    "full": FINETUNE,
    "padded": replace(FINETUNE, packing=False),
    "lora": replace(FINETUNE, lora=LoraSettings(rank=4, alpha=8, dropout_frac=0.1)),
    "align": replace(mini_cpu().align, batch_size=6, n_epochs=2, packing=True),
}


def main() -> None:
    base, given, out = (Path(argument) for argument in sys.argv[1:4])
    examples = pickle.loads(given.read_bytes())
    names = sys.argv[4:]
    die_at = None
    if names[0] == "--die":
        die_at, names = int(names[1]), names[2:]

    def progress(done: int, total: int) -> None:
        if done == die_at:
            os._exit(9)

    for name in names:
        stage, strategy, *cut = name.split("-")
        run = RunConfig(
            device="cpu",
            strategy=strategy,
            tokens_per_piece=160 if cut else None,
            save_every_steps=3,
            vision="disk",
            vision_folder=out / "vision",
        )
        run_stage(
            STAGES[stage],
            load_checkpoint(base),
            examples,
            out=out / name,
            seed=0,
            run=run,
            n_threads=1,
            progress=progress,
            tell=print,
        )


if __name__ == "__main__":
    main()
