"""Fast pixels against the image processor itself, bit for bit."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, LlavaImageProcessorPil

from llava_core.data.images import load_pixels
from llava_core.data.pixels import PixelReader, pixel_batches
from llava_core.errors import InputError

SMALL = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
USUAL = {
    "clip": CLIPImageProcessorPil(**SMALL),
    "another crop": CLIPImageProcessorPil(
        size={"shortest_edge": 31}, crop_size={"height": 20, "width": 31}, image_mean=[0.1, 0.2, 0.3]
    ),
    "llava": LlavaImageProcessorPil(**SMALL),
    "llava that pads": LlavaImageProcessorPil(do_pad=True, **SMALL),
}
OTHER = {
    "larger crop": CLIPImageProcessorPil(size={"shortest_edge": 20}, crop_size={"height": 28, "width": 28}),
    "squeezed": CLIPImageProcessorPil(
        size={"height": 28, "width": 28}, crop_size={"height": 28, "width": 28}
    ),
    "not normalised": CLIPImageProcessorPil(do_normalize=False, **SMALL),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Images of all shapes and kinds."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    sizes = [(50, 37), (37, 50), (28, 28), (5, 90), (91, 6), (1, 1), (64, 64), (29, 28)]
    paths = []
    for number, size in enumerate(sizes):
        noise = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
        image = noise.resize(size, Image.Resampling.BICUBIC)
        kind = ("RGB", "L", "RGBA", "P")[number % 4]
        suffix = ".jpg" if number % 4 < 2 else ".png"
        paths.append(folder / f"{number}{suffix}")
        image.convert(kind).save(paths[-1])
    return paths


@pytest.mark.parametrize(("name", "processor"), [*USUAL.items(), *OTHER.items()])
def test_equal_to_the_processor(files, name, processor) -> None:
    reader = PixelReader(processor)
    assert reader.usual == (name in USUAL)
    expected = load_pixels(files, processor)
    for size in (1, 3, len(files)):
        batches = [files[start : start + size] for start in range(0, len(files), size)]
        for n_threads in (1, 3):
            found = list(pixel_batches(batches, reader, device=torch.device("cpu"), n_threads=n_threads))
            assert [len(batch) for batch in found] == [len(batch) for batch in batches]
            assert torch.equal(torch.cat(found), expected)
    stacked = torch.from_numpy(np.stack([reader.read(path) for path in files]))
    assert torch.equal(reader.values(stacked, torch.device("cpu")), expected)


def test_a_broken_file_is_named_and_the_threads_end(files, tmp_path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    batches = [files[:2], [files[2], broken], files[3:]]
    made = pixel_batches(batches, PixelReader(USUAL["clip"]), device=torch.device("cpu"))
    assert len(next(made)) == 2
    with pytest.raises(InputError, match=r"broken\.jpg"):
        next(made)
