"""Image files to pixel values at the speed of the decoder: by several threads, ahead of the model.

The arithmetic is the image processor's, bit for bit: Pillow decodes, resizes and crops to bytes, which
release the interpreter's lock; the 256 values that a byte can become in each channel are taken from the
processor once and looked up, on the device where there is one. A processor of another make than CLIP's usual
steps (shortest edge, centre crop, rescale, normalise, LLaVA's padding before) is called as it is. Pillow's
draft mode would decode JPEG files faster, but to other pixels.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil, LlavaImageProcessorPil

from llava_core.data.images import read_image

ImageProcessor: TypeAlias = "CLIPImageProcessorPil | LlavaImageProcessorPil"
BATCHES_AHEAD = 2


class PixelReader:
    """Image files as an image processor sees them.

    Parameters
    ----------
    image_processor : CLIPImageProcessorPil or LlavaImageProcessorPil
    """

    def __init__(self, image_processor: ImageProcessor) -> None:
        self.image_processor = image_processor
        self.usual = _is_usual(image_processor)
        self.table = _table(image_processor) if self.usual else torch.empty(0)
        """(3, 256) what a byte becomes in each channel."""
        size = image_processor.crop_size if image_processor.do_center_crop else image_processor.size
        self.shape = (int(size["height"]), int(size["width"]), 3)
        """Of the bytes of an image."""
        self.value_shape = (3, *self.shape[:2])

    def read(self, path: Path) -> NDArray[Any]:
        """Return one image: bytes (height, width, 3), or the processor's own values (3, height, width).

        Raises
        ------
        InputError
            If the image cannot be read.
        """
        return self.prepare(read_image(path))

    def prepare(self, image: Image.Image) -> NDArray[Any]:
        """Return an RGB image in memory as `read` does."""
        processor = self.image_processor
        if not self.usual:
            values: NDArray[Any] = processor(images=[image], return_tensors="np")["pixel_values"][0]
            return values
        if processor.do_pad:
            image = _padded(image, tuple(int(mean * 255) for mean in processor.image_mean))
        short = int(processor.size["shortest_edge"])
        width, height = image.size
        scaled = int(short * max(width, height) / min(width, height))
        size = (short, scaled) if width <= height else (scaled, short)
        if size != image.size:
            image = image.resize(size, resample=Image.Resampling(processor.resample))
        crop = processor.crop_size
        left, top = (size[0] - crop["width"]) // 2, (size[1] - crop["height"]) // 2
        return np.asarray(image.crop((left, top, left + crop["width"], top + crop["height"])))

    def read_into(self, row: NDArray[Any], path: Path) -> None:
        """Write one image into its row of a batch: bytes of `shape`, or values of `value_shape`.

        Raises
        ------
        InputError
            If the image cannot be read.
        """
        image = self.read(path)
        if row.dtype == np.float32 and self.usual:
            self._look_up(image, row)
        else:
            row[...] = image

    def values(self, images: Tensor, device: torch.device) -> Tensor:
        """Return pixel values (images, 3, height, width), float32, on a device.

        Parameters
        ----------
        images : Tensor
            What `read` returned, stacked.
        device : torch.device
        """
        images = images.to(device, non_blocking=True)
        if not self.usual:
            return images
        if device.type == "cpu":
            found = torch.empty(len(images), *self.value_shape)
            for bytes_, row in zip(images.numpy(), found.numpy(), strict=True):
                self._look_up(bytes_, row)
            return found
        planes = images.permute(0, 3, 1, 2).int()
        offsets = torch.tensor([0, 256, 512], dtype=torch.int32, device=device)[:, None, None]
        return self.table.to(device).flatten()[planes + offsets]

    def _look_up(self, bytes_: NDArray[np.uint8], row: NDArray[np.float32]) -> None:
        """Write what the bytes (height, width, 3) become into (3, height, width)."""
        for channel, values in enumerate(self.table.numpy()):
            # No byte is outside the table; "clip" spares looking for one.
            np.take(values, bytes_[..., channel], out=row[channel], mode="clip")


def pixel_batches(
    batches: Iterable[Sequence[Path]],
    reader: PixelReader,
    *,
    device: torch.device,
    n_threads: int | None = None,
) -> Iterator[Tensor]:
    """Yield the pixel values of batches of image files, while the batches behind are being decoded.

    Parameters
    ----------
    batches : iterable of sequence of Path
        None of them empty.
    reader : PixelReader
    device : torch.device
        Where the values go; through page-locked memory where that is a GPU.
    n_threads : int, optional
        Threads that decode; as many as cores this process may use, if not given.

    Yields
    ------
    Tensor
        (images, 3, height, width), float32, in the order of the files.

    Raises
    ------
    InputError
        If an image cannot be read.

    Notes
    -----
    A thread writes its image straight into the batch: as values on the CPU, as bytes where a GPU looks them
    up. So the thread that feeds the model does nothing per image.
    """
    on_gpu = device.type == "cuda"
    pending: deque[tuple[Tensor, list[Future[None]]]] = deque()

    def begin(batch: Sequence[Path], pool: ThreadPoolExecutor) -> tuple[Tensor, list[Future[None]]]:
        shape, kind = (reader.shape, torch.uint8) if on_gpu and reader.usual else (None, torch.float32)
        images = torch.empty(len(batch), *(shape or reader.value_shape), dtype=kind, pin_memory=on_gpu)
        rows = images.numpy()
        return images, [pool.submit(reader.read_into, rows[k], path) for k, path in enumerate(batch)]

    def ready() -> Tensor:
        images, reading = pending.popleft()
        for image in reading:
            image.result()
        return reader.values(images, device) if images.dtype == torch.uint8 else images.to(device)

    with ThreadPoolExecutor(n_threads or n_cores(), thread_name_prefix="decode") as pool:
        try:
            for batch in batches:
                pending.append(begin(batch, pool))
                if len(pending) > BATCHES_AHEAD:
                    yield ready()
            while pending:
                yield ready()
        finally:
            for _, reading in pending:
                for image in reading:
                    image.cancel()


def n_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_usual(processor: ImageProcessor) -> bool:
    size, crop = processor.size, processor.crop_size
    short = size.get("shortest_edge")
    steps = (processor.do_resize, processor.do_center_crop, processor.do_rescale, processor.do_normalize)
    pads_first = isinstance(processor, LlavaImageProcessorPil) or not processor.do_pad
    return bool(
        all(steps)
        and pads_first
        and short
        and not size.get("longest_edge")
        and max(crop["height"], crop["width"]) <= short
    )


def _table(processor: ImageProcessor) -> Tensor:
    """Return what each byte becomes in each channel, computed by the processor."""
    bytes_ = np.broadcast_to(np.arange(256, dtype=np.uint8), (3, 1, 256)).copy()
    scaled = processor.rescale(bytes_, processor.rescale_factor)
    normalised = processor.normalize(scaled, processor.image_mean, processor.image_std)
    return torch.from_numpy(np.ascontiguousarray(normalised[:, 0], dtype=np.float32))


def _padded(image: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """Return an image in the middle of a square, as LLaVA 1.5 pads."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square
