"""A tiny random LLaVA and a handful of drawn questions, for all tests of this package."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from llava_core.data.example import Example

COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220), "green": (30, 160, 60), "black": (0, 0, 0)}


def draw_examples(folder: Path, n_images: int, n_texts: int = 0) -> list[Example]:
    """Questions about the colour of one ball, and questions without image."""
    rng = np.random.default_rng(0)
    examples = []
    for index in range(n_images):
        colours = [str(c) for c in rng.permutation(list(COLOURS))]
        image = Image.new("RGB", (32, 32), "white")
        left = int(rng.integers(4, 12))
        ImageDraw.Draw(image).ellipse([left, 8, left + 12, 20], fill=COLOURS[colours[0]])
        path = folder / f"{index}.png"
        image.save(path)
        options = tuple(str(c) for c in rng.permutation(colours[:3]))
        examples.append(
            Example(
                id=f"image-{index}",
                question="Which colour is the ball?",
                options=options,
                answer=options.index(colours[0]),
                split="train_llm",
                group=f"g{index}",
                image=path,
                has_image=True,
                caption=f"A {colours[0]} ball.",
                skill=f"ball {index % 3}",
            )
        )
    for index in range(n_texts):
        examples.append(
            Example(
                id=f"text-{index}",
                question=f"Is {index} an even number?",
                options=("yes", "no"),
                answer=index % 2,
                split="train_llm",
                group=f"t{index}",
                hint="Even numbers end in 0, 2, 4, 6 or 8.",
                skill="numbers",
            )
        )
    return examples


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """24 questions with an image of 32 pixels, 8 without."""
    return draw_examples(tmp_path_factory.mktemp("drawn"), 24, 8)


@pytest.fixture(scope="session")
def tiny_sizes():
    from llava_core.train.pretrain import TinySizes

    return TinySizes(
        vocab_size=300,
        image_size=32,
        dim_vision=16,
        n_vision_layers=3,
        vision_mlp=32,
        dim_text=16,
        n_text_layers=1,
        text_mlp=32,
        dim_llm=24,
        n_llm_layers=2,
        llm_mlp=32,
        n_heads=2,
    )


@pytest.fixture(scope="session")
def tiny_tokenizer(drawn):
    from llava_core.train.pretrain import tiny_tokenizer

    return tiny_tokenizer(drawn, [], vocab_size=300)


@pytest.fixture
def bundle(tiny_sizes, tiny_tokenizer):
    """A fresh bundle of random weights; 4 image tokens per image."""
    from llava_core.train.pretrain import tiny_bundle

    return tiny_bundle(tiny_sizes, tiny_tokenizer, seed=0)


@pytest.fixture
def lively_bundle(bundle):
    """The same with layers that outweigh the embeddings: what it writes depends on what it is shown."""
    for part in (bundle.model.llm.model.layers, bundle.model.projector):
        for weight in part.parameters():
            if weight.dim() == 2:
                weight.data *= 8
    return bundle
