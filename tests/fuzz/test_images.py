"""Pictures of unusual kinds: what becomes of their pixels, and which are refused with what words."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llava_core.data.image_files import check_image
from llava_core.data.images import read_image
from llava_core.errors import InputError
from tests.fuzz import corpus


def pixels(content: bytes) -> np.ndarray:
    image = read_image(io.BytesIO(content))
    assert image.mode == "RGB"
    return np.asarray(image)


def test_grey_of_16_bits_runs_from_black_to_white() -> None:
    for kind in ("png", "tiff"):
        shown = pixels(corpus.deep_grey(kind))[..., 0].ravel()
        assert (shown[0], shown[-1]) == (0, 255)
        assert (np.diff(shown.astype(int)) >= 0).all()
        assert len(np.unique(shown)) > 200


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(mode: str, tmp_path: Path) -> None:
    (tmp_path / "deep.tif").write_bytes(corpus.picture(mode, "tiff"))
    with pytest.raises(
        InputError, match=rf"deep\.tif: got pixels of 32 bits \(mode {mode}\), allowed are 8 or 16"
    ):
        read_image(tmp_path / "deep.tif")


def test_inks_become_colours() -> None:
    cyan = corpus.saved(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "tiff")
    assert pixels(cyan)[0, 0].tolist() == [0, 255, 255]


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    moving = corpus.saved(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert pixels(moving)[0, 0].tolist() == [255, 0, 0]


def test_a_picture_on_its_side_is_set_upright() -> None:
    assert pixels(corpus.turned()).shape[:2] == (24, 16)
    assert pixels(corpus.picture(kind="jpeg")).shape[:2] == (16, 24)


def test_transparency_is_laid_on_white_in_every_mode() -> None:
    palette = pixels(corpus.see_through_palette())
    assert palette[0, 0].tolist() == [255, 255, 255]  # its colour is wholly transparent
    black = Image.new("L", (8, 8), 0)
    assert pixels(corpus.saved(black, "png", transparency=0))[0, 0].tolist() == [255, 255, 255]
    red = Image.new("RGB", (8, 8), "red")
    assert pixels(corpus.saved(red, "png", transparency=(255, 0, 0)))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("side", [11_000, 40_000])
@pytest.mark.parametrize("read", [read_image, check_image])
def test_a_bomb_is_refused_without_a_warning(side: int, read: object, tmp_path: Path) -> None:
    file = tmp_path / "bomb.png"
    file.write_bytes(corpus.bomb(side))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(
            InputError, match=r"bomb\.png: got an image of too many pixels, allowed are 89,478,485"
        ):
            read(file)  # type: ignore[operator]
    assert warned == []


def test_a_line_is_refused_before_it_is_scaled_to_gigabytes(tmp_path: Path) -> None:
    file = tmp_path / "line.png"
    Image.new("RGB", (5000, 1)).save(file)
    with pytest.raises(
        InputError, match=r"line\.png: got an image of 5000 x 1 pixels, allowed is a longer side"
    ):
        read_image(file)
    Image.new("RGB", (200, 1)).save(file)
    assert read_image(file).size == (200, 1)


@pytest.mark.parametrize("kind", ["jpeg", "gif", "bmp", "tiff", "png", "webp"])
def test_a_torn_picture_is_noticed_by_the_check(kind: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    content = corpus.saved(Image.fromarray(noise), kind)
    file = tmp_path / f"a.{kind}"
    file.write_bytes(content)
    check_image(file)
    file.write_bytes(content[: len(content) * 9 // 10])
    with pytest.raises(InputError, match="cannot be read as an image"):
        check_image(file)
