"""From image files to pixel tensors: PIL decoding, bicubic resize and CLIP's normalisation.

The PIL-backed CLIP processor of transformers does the arithmetic, so torchvision is not needed and resizing
agrees with the original CLIP, which also resized with PIL. Left out: LLaVA 1.5's padding to a square.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from transformers import CLIPImageProcessorPil

from llava_core.errors import InputError


def read_image(file: Path | BinaryIO) -> Image.Image:
    """Return an image file as RGB, upright; transparency is laid on white.

    Raises
    ------
    InputError
        If the file is missing or is not an image that Pillow can decode.
    """
    path = file if isinstance(file, Path) else None
    try:
        with Image.open(file) as image:
            return to_rgb(image)
    except FileNotFoundError:
        raise InputError("no such image file", path=path) from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise InputError(
            f"got a file that cannot be read as an image ({error}), allowed is what Pillow reads",
            path=path,
        ) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image as RGB, turned as its EXIF orientation says, with transparency laid on white."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode not in ("RGBA", "LA", "P"):
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    opaque = Image.new("RGB", rgba.size, (255, 255, 255))
    opaque.paste(rgba, mask=rgba.getchannel("A"))
    return opaque


def load_pixels(paths: Sequence[Path], image_processor: CLIPImageProcessorPil) -> Tensor:
    """Return pixel values (images, 3, height, width), float32, in the order of ``paths``.

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    images = [read_image(path) for path in paths]
    if not images:
        crop = image_processor.crop_size
        return torch.empty(0, 3, crop["height"], crop["width"])
    pixels: Tensor = image_processor(images=images, return_tensors="pt")["pixel_values"]
    return pixels


def blank_pixels(n_images: int, image_processor: CLIPImageProcessorPil) -> Tensor:
    """Return pixel values of white images, the control for questions that need their image."""
    crop = image_processor.crop_size
    white = Image.new("RGB", (crop["width"], crop["height"]), (255, 255, 255))
    pixels: Tensor = image_processor(images=[white], return_tensors="pt")["pixel_values"]
    return pixels.repeat(n_images, 1, 1, 1)
