"""What the image files of some questions give, decoded once and sent through the vision tower once.

The patch features are kept on the model's device, for the prompts that show the images; their means and
CLIP's embedding go into blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from llava_core.checkpoint import LlavaBundle, load_checkpoint
from llava_core.data.example import Example
from llava_core.data.pixels import PixelReader, pixel_batches
from llava_core.errors import InputError

BATCH_SIZE = 128


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shown:
    """Images of some questions."""

    row_of: dict[Path, int]
    """Row of each image file; a file that several questions show has one."""
    features: Tensor
    """(images, n_patches, dim_vision) on the model's device."""
    blocks: dict[str, NDArray[np.float32]]
    """Block to rows (images, ...)."""

    def vision(self, images: Sequence[Path]) -> Tensor:
        """Return the patch features of image files, in their order."""
        rows = torch.tensor([self.row_of[image] for image in images], device=self.features.device)
        return self.features[rows]

    def per_example(self, examples: Sequence[Example]) -> dict[str, NDArray[np.float32]]:
        """Return the blocks with a row per example, NaN where there is no image file."""
        rows = np.array([-1 if e.image is None else self.row_of[e.image] for e in examples])
        found = {}
        for name, array in self.blocks.items():
            found[name] = np.full((len(examples), *array.shape[1:]), np.nan, dtype=np.float32)
            found[name][rows >= 0] = array[rows[rows >= 0]]
        return found


def show_images(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    *,
    align: nn.Module | None,
    clip_layers: Sequence[int] = (),
    progress: Callable[[int, int], None],
) -> Shown:
    """Decode the images of examples and run the tower, once per file.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
    align : Module or None
        Projector of stage 1.
    clip_layers : sequence of int
        Hidden states of the tower whose means over the patches are kept; 0 is the embeddings.
    progress : callable
        Called with (images done, images in all).

    Returns
    -------
    Shown
        Blocks clip_image_patches and projector; clip_image where the bundle has a whole CLIP,
        projector_align where there is a projector of stage 1; clip_layers where layers are kept.

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    model = bundle.model
    paths = list(dict.fromkeys(example.image for example in examples if example.image is not None))
    batches = [paths[start : start + BATCH_SIZE] for start in range(0, len(paths), BATCH_SIZE)]
    kept = _no_features(bundle)
    reader = PixelReader(bundle.image_processor)
    shapes = _shapes(bundle, align, n_layers=len(clip_layers))
    # Stays on the device till the end: a copy would wait for the tower, and the tower for the next batch.
    found: dict[str, list[Tensor]] = {name: [] for name in shapes}
    n_done = 0
    with torch.inference_mode():
        features = torch.empty(len(paths), *kept.shape[1:], dtype=kept.dtype, device=kept.device)
        for pixels in pixel_batches(batches, reader, device=model.device):
            outputs = model.vision_outputs(pixels, pooled=bundle.clip is not None, keep_layers=clip_layers)
            patches = outputs.features
            if bundle.clip is not None:
                embedding = bundle.clip.visual_projection(outputs.pooled).float()
                found["clip_image"].append(nn.functional.normalize(embedding, dim=-1))
            features[n_done : n_done + len(pixels)] = patches
            found["clip_image_patches"].append(patches.float().mean(1))
            found["projector"].append(model.project(patches).float().mean(1))
            if align is not None:
                found["projector_align"].append(align(patches).float().mean(1))
            if clip_layers:
                found["clip_layers"].append(outputs.layer_means)
            n_done += len(pixels)
            progress(n_done, len(paths))
    if not paths:
        progress(0, 0)
    blocks = {
        name: torch.cat([torch.empty(0, *shape, device=kept.device), *found[name]]).cpu().numpy()
        for name, shape in shapes.items()
    }
    return Shown(row_of={path: row for row, path in enumerate(paths)}, features=features, blocks=blocks)


def align_projector(source: str | Path, bundle: LlavaBundle) -> nn.Module:
    """Return the projector of a checkpoint of stage 1, in the place and precision of the bundle's own.

    Raises
    ------
    InputError
        If its vision tower, or what is read of it, is not the bundle's: the images go through one tower.
    """
    weight = bundle.model.vision_tower.embeddings.patch_embedding.weight
    other = load_checkpoint(source, dtype=weight.dtype)
    mine, theirs = (b.model.vision_tower.state_dict() for b in (bundle, other))
    same = mine.keys() == theirs.keys() and all(torch.equal(mine[k].cpu(), theirs[k]) for k in mine)
    ways = [(b.model.vision_layer, b.model.keep_cls, b.image_processor.to_dict()) for b in (bundle, other)]
    if not same or ways[0] != ways[1]:
        raise InputError(
            "got a checkpoint of stage 1 with another vision tower or preprocessing than stage 2's",
            path=Path(source),
        )
    return other.model.projector.to(bundle.model.device)


def feature_bytes(bundle: LlavaBundle) -> int:
    """Return the bytes of the patch features of one image."""
    row = torch.empty(1, *_no_features(bundle).shape[1:], dtype=_no_features(bundle).dtype, device="meta")
    return row.numel() * row.element_size()


def _no_features(bundle: LlavaBundle) -> Tensor:
    weight = bundle.model.vision_tower.embeddings.patch_embedding.weight
    width = bundle.model.vision_tower.config.hidden_size
    return torch.empty(0, bundle.model.n_patches, width, dtype=weight.dtype, device=weight.device)


def _shapes(bundle: LlavaBundle, align: nn.Module | None, *, n_layers: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each block's rows."""
    dim_vision = int(bundle.model.vision_tower.config.hidden_size)
    dim_llm = int(bundle.model.llm.config.hidden_size)
    shapes: dict[str, tuple[int, ...]] = {}
    if bundle.clip is not None:
        shapes["clip_image"] = (int(bundle.clip.config.projection_dim),)
    shapes |= {"clip_image_patches": (dim_vision,), "projector": (dim_llm,)}
    if align is not None:
        shapes["projector_align"] = (dim_llm,)
    if n_layers:
        shapes["clip_layers"] = (n_layers, dim_vision)
    return shapes
