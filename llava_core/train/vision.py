"""Where a training takes its patch features from: memory, disk, or the vision tower each time [edge].

The tower is frozen, so its features may be kept, which is exact. In memory for small data. On disk for what
is seen several times: half a megabyte per image of CLIP ViT-L/14 at 224 pixels in bfloat16, written once and
read in every epoch. Live for what is seen once, as in stage 1: keeping would cost more than it saves.

On disk the features stand in parts of `IMAGES_PER_PART` images, each a safetensors file that is written
beside its place and renamed, so that a killed run goes on with the next part, and several processes share
the work. The folder's name is a hash of tower, preprocessing and images.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from llava_core.checkpoint import LlavaBundle
from llava_core.claims import check_writable, locked
from llava_core.data.pixels import PixelReader, n_cores, pixel_batches
from llava_core.drafts import whole_file
from llava_core.train.loop import Progress
from llava_core.train.processes import Place

BATCH_SIZE = 128
IMAGES_PER_PART = 1024
Keeping = Literal["memory", "disk", "live"]


class Vision(Protocol):
    """Patch features of image files, in two halves: what may run ahead, and what needs the device."""

    def fetch(self, images: Sequence[Path]) -> Tensor:
        """Return what the files hold, on the CPU; may be called from another thread."""
        ...

    def features(self, fetched: Tensor) -> Tensor:
        """Return patch features (images, n_patches, dim_vision) on the model's device."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """Features by image file."""

    bundle: LlavaBundle
    kept: dict[Path, Tensor]

    def fetch(self, images: Sequence[Path]) -> Tensor:
        """Return the kept features."""
        rows = [self.kept[image] for image in images]
        return torch.stack(rows) if rows else _none(self.bundle)

    def features(self, fetched: Tensor) -> Tensor:
        """Return them on the device."""
        return fetched.to(self.bundle.model.device, non_blocking=True)


@dataclass(frozen=True, slots=True, eq=False)
class OnDisk:
    """Features in the parts of a folder."""

    bundle: LlavaBundle
    folder: Path
    row_of: dict[Path, int]
    _open: dict[int, safe_open] = field(default_factory=dict)

    def fetch(self, images: Sequence[Path]) -> Tensor:
        """Return the rows of the parts that hold the images."""
        rows = [divmod(self.row_of[image], IMAGES_PER_PART) for image in images]
        if not rows:
            return _none(self.bundle)
        for part, _ in rows:
            if part not in self._open:
                self._open[part] = safe_open(_part(self.folder, part), framework="pt")
        return torch.stack([self._open[part].get_slice("features")[row] for part, row in rows])  # type: ignore[no-untyped-call]

    def features(self, fetched: Tensor) -> Tensor:
        """Return them on the device."""
        return fetched.to(self.bundle.model.device, non_blocking=True)


class Live:
    """Images that are decoded by several threads, and go through the tower each time."""

    def __init__(self, bundle: LlavaBundle) -> None:
        self.bundle = bundle
        self.reader = PixelReader(bundle.image_processor)
        self.pool = ThreadPoolExecutor(n_cores(), thread_name_prefix="decode")

    def fetch(self, images: Sequence[Path]) -> Tensor:
        """Return what the reader makes of the files."""
        if not images:
            return _none(self.bundle)
        return torch.from_numpy(np.stack(list(self.pool.map(self.reader.read, images))))

    def features(self, fetched: Tensor) -> Tensor:
        """Return what the tower makes of them."""
        device = self.bundle.model.device
        if not len(fetched):
            return fetched.to(device)
        return self.bundle.model.vision_features(self.reader.values(fetched, device))


def open_vision(
    bundle: LlavaBundle,
    images: Sequence[Path],
    *,
    keeping: Keeping,
    folder: Path,
    here: Place,
    progress: Progress | None = None,
) -> Vision:
    """Return the source of the features of these image files, filled where it keeps them.

    Parameters
    ----------
    bundle : LlavaBundle
        With its tower on the device.
    images : sequence of Path
        All image files of the training, each once.
    keeping : {"memory", "disk", "live"}
    folder : Path
        Where features on disk go, in a sub-folder per tower and list of images.
    here : Place
    progress : callable, optional
        Called with (images done, images in all) while features are made.

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    if keeping == "live":
        return Live(bundle)
    if keeping == "memory":
        return InMemory(bundle, keep_in_memory(bundle, images, progress=progress))
    place = folder / _fingerprint(bundle, images)
    starts = range(0, len(images), IMAGES_PER_PART)
    for number, start in list(enumerate(starts))[here.rank :: here.world]:
        part = _part(place, number)
        if part.is_file():
            _lock(part).unlink(missing_ok=True)  # of a process that was killed; nobody writes it any more
        else:
            made = keep_in_memory(bundle, images[start : start + IMAGES_PER_PART])
            _write_part(part, torch.stack(list(made.values())))
        if progress is not None:
            progress(min(start + IMAGES_PER_PART, len(images)), len(images))
    here.wait()
    return OnDisk(bundle, place, {image: row for row, image in enumerate(images)})


def kept_bytes(bundle: LlavaBundle, n_images: int, *, keeping: Keeping) -> int:
    """Return the main memory that the features of so many images will take, kept in this way."""
    none = _none(bundle)
    return n_images * math.prod(none.shape[1:]) * none.element_size() if keeping == "memory" else 0


def keep_in_memory(
    bundle: LlavaBundle,
    images: Sequence[Path],
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> dict[Path, Tensor]:
    """Return patch features (n_patches, dim_vision) by image file, on the CPU."""
    kept: dict[Path, Tensor] = {}
    batches = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    device = bundle.model.vision_tower.embeddings.patch_embedding.weight.device
    decoded = pixel_batches(batches, PixelReader(bundle.image_processor), device=device)
    for part, pixels in zip(batches, decoded, strict=True):
        kept |= dict(zip(part, bundle.model.vision_features(pixels).cpu(), strict=True))
        if progress is not None:
            progress(len(kept), len(images))
    return kept


def _none(bundle: LlavaBundle) -> Tensor:
    """Features of no image at all: they keep the projector in the graph."""
    weight = bundle.model.vision_tower.embeddings.patch_embedding.weight
    width = bundle.model.vision_tower.config.hidden_size
    return torch.empty(0, bundle.model.n_patches, width, dtype=weight.dtype)


def _part(folder: Path, number: int) -> Path:
    return folder / f"features-{number:05d}.safetensors"


def _lock(part: Path) -> Path:
    return part.with_name(f".{part.name}.lock")


def _write_part(path: Path, features: Tensor) -> None:
    """Write a part, unless another training, into another folder beside this one's, has done so meanwhile."""
    check_writable(path.parent)
    with locked(_lock(path), place=path, wait=True):
        if not path.is_file():
            with whole_file(path) as draft:
                save_file({"features": features.contiguous()}, draft)


def _fingerprint(bundle: LlavaBundle, images: Sequence[Path]) -> str:
    """Hash of tower, preprocessing and images; these by name, size and time of change."""
    model, digest = bundle.model, hashlib.sha256()
    settings = (model.vision_layer, model.keep_cls, bundle.image_processor.to_dict())
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.vision_tower.state_dict().items()):
        digest.update(f"{name} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    for image in images:
        stat = image.stat()
        digest.update(f"{image} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
