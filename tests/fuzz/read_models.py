"""Checkpoints and states of trainings, read to the end."""

import json
from pathlib import Path
from typing import Any

# Checkpoints ----------------------------------------------------------------------------------------------


def tiny_bundle() -> Any:
    from llava_core.data.example import Example
    from llava_core.train.pretrain import TinySizes, tiny_bundle, tiny_tokenizer

    examples = [
        Example(
            id=str(n),
            question=f"What is {n}?",
            options=("yes", "no"),
            answer=0,
            split="train_llm",
            group=str(n),
        )
        for n in range(4)
    ]
    sizes = TinySizes(
        vocab_size=290, image_size=16, dim_vision=8, n_vision_layers=2, vision_mlp=8, dim_text=8,
        n_text_layers=1,
        text_mlp=8, dim_llm=8, n_llm_layers=1, llm_mlp=8, n_heads=2,
    )  # fmt: skip
    return tiny_bundle(sizes, tiny_tokenizer(examples, [], vocab_size=290), seed=0)


def checkpoint_files(folder: Path) -> None:
    from llava_core.checkpoint.folder import save_checkpoint

    save_checkpoint(tiny_bundle(), folder / "ours", stage="align", seen_ids=["a", "b"])


def checkpoint(folder: Path) -> object:
    from llava_core.checkpoint.load import checkpoint_hash, load_checkpoint, read_seen_ids, says_what_it_saw

    place = folder / "ours"
    bundle = load_checkpoint(place)
    return bundle, checkpoint_hash(place), read_seen_ids(place), says_what_it_saw(place)


def rehash_checkpoint(folder: Path) -> None:
    from llava_core.checkpoint.folder import describe_file

    file = folder / "ours" / "manifest.json"
    manifest = json.loads(file.read_text())
    for name in manifest["files"]:
        manifest["files"][name] = describe_file(folder / "ours" / name)
    file.write_text(json.dumps(manifest))


def stock_files(folder: Path) -> None:
    checkpoint_files(folder)
    for name in ("llava_core.json", "manifest.json", "seen_ids.json", "training.json", "clip.safetensors"):
        (folder / "ours" / name).unlink(missing_ok=True)


def stock(folder: Path) -> object:
    from llava_core.checkpoint.load import checkpoint_hash, load_checkpoint

    return load_checkpoint(folder / "ours"), checkpoint_hash(folder / "ours")


def projector_file(folder: Path) -> None:
    import torch

    weights = {"model.mm_projector.weight": torch.ones(4, 4), "model.mm_projector.bias": torch.ones(4)}
    torch.save(weights, folder / "mm_projector.bin")


def projector(folder: Path) -> object:
    from llava_core.checkpoint.original import projector_file_kind

    return projector_file_kind(folder / "mm_projector.bin")


def training_state(folder: Path, *, write: bool = False) -> object:
    import torch

    from llava_core.train.loop import Trace
    from llava_core.train.processes import Place
    from llava_core.train.state import load_state, save_state

    here = Place(rank=0, world=1, device=torch.device("cpu"))
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    if write:
        trace = Trace(loss=((1, 0.5),), n_steps=1, open_loss=(0.4,))
        save_state(folder / "states", model, optimizer, trace, inputs="k", keep=1, here=here)
        return None
    return load_state(folder / "states", model, optimizer, inputs="k")
