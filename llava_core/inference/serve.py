"""A checkpoint behind an OpenAI-compatible address: transformers' own server, pinned to one model [edge].

``POST /v1/chat/completions`` takes several images, a history and streaming; images are ``image_url`` parts
with http, https or data addresses, and a request names the folder as its model or no model at all. Left out:
what transformers' server cannot do. It lists the models of the hub's cache, not the pinned one, and with an
image model it cannot stop at a text, so that templates which end an answer that way (v0) are refused.
"""

from contextlib import suppress
from pathlib import Path

import torch

from llava_core.checkpoint.folder import read_about, verify_checkpoint
from llava_core.checkpoint.load import layout_of
from llava_core.checkpoint.sources import find_folder
from llava_core.data.template import Template
from llava_core.errors import InputError
from llava_core.model.projector import STOCK_PROJECTORS


def servable_folder(source: str | Path) -> Path:
    """Return the absolute folder of a checkpoint that the server can load.

    Raises
    ------
    InputError
        If there is no such checkpoint, it is not whole, only ``llava convert`` makes it readable for stock
        transformers, or its answers end at a text.
    """
    folder = find_folder(source).resolve()
    layout = layout_of(folder)
    if layout == "original":
        raise InputError("got the original layout, convert it first: llava convert", path=folder)
    if layout == "ours":
        verify_checkpoint(folder)
        about = read_about(folder)
        if not about.get("stock", True):
            raise InputError(
                f"got projector {about['projector']!r}, which transformers' server has not; "
                f"allowed are {', '.join(STOCK_PROJECTORS)}",
                path=folder,
                field="projector",
            )
        template = Template(**about["template"])
        if template.stop_text:
            raise InputError(
                f"got template {template.name!r}, whose answers end at {template.stop_text!r}; "
                "transformers' server stops at the stop token alone",
                path=folder,
                field="template",
            )
    return folder


def serve_folder(folder: Path, *, host: str, port: int, device: torch.device, dtype: torch.dtype) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    folder : Path
        From `servable_folder`.
    host : str
    port : int
    device : torch.device
    dtype : torch.dtype

    Raises
    ------
    InputError
        If a package that serving needs is not installed.
    """
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        raise InputError("serving needs fastapi, uvicorn and openai: pip install 'llava-ensembles[serve]'")
    from huggingface_hub.constants import HF_HUB_CACHE
    from transformers.cli.serve import Serve

    with suppress(OSError):  # listing the models fails without that folder
        Path(HF_HUB_CACHE).mkdir(parents=True, exist_ok=True)
    Serve(str(folder), host=host, port=port, device=str(device), dtype=str(dtype).removeprefix("torch."))
