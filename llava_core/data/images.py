"""From image files to pixel tensors: PIL decoding, bicubic resize and CLIP's normalisation.

The PIL-backed CLIP processor of transformers does the arithmetic, so torchvision is not needed and resizing
agrees with the original CLIP, which also resized with PIL. Left out: LLaVA 1.5's padding to a square.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor
from transformers import CLIPImageProcessorPil

from llava_core.data.image_files import opened_image
from llava_core.errors import InputError


def read_image(file: Path | BinaryIO) -> Image.Image:
    """Return an image file as RGB, upright; transparency is laid on white. Of several frames it is the first.

    Raises
    ------
    InputError
        If the file is missing, is no image that `opened_image` takes, or has pixels that `to_rgb` refuses.
    """
    if isinstance(file, Path) and not file.exists():
        raise InputError("no such image file", path=file)
    with opened_image(file) as image:
        try:
            return to_rgb(image)
        except InputError as error:
            raise InputError(error.problem, path=file if isinstance(file, Path) else None) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image as RGB, turned as its EXIF orientation says, with transparency laid on white.

    Grey of 16 bits keeps its upper eight, as Pillow does with colours of 16 bits.

    Raises
    ------
    InputError
        If its pixels are numbers of 32 bits, of which nobody says which one is white.
    """
    if image.mode in ("I", "F"):
        raise InputError(f"got pixels of 32 bits (mode {image.mode}), allowed are 8 or 16 bits")
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
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
