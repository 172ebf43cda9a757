"""8- and 4-bit loading of the language model through bitsandbytes; tower, projector and head stay whole."""

from typing import Any, Literal

import torch

from llava_core.errors import InputError

Quantize = Literal["8bit", "4bit"]
WHOLE = ["vision_tower", "multi_modal_projector", "lm_head"]


def quantization(quantize: Quantize | None, *, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Return what transformers must be told to load in so many bits; nothing for None.

    ``4bit`` is NF4 with doubly quantised constants (Dettmers et al. 2023, QLoRA).

    Raises
    ------
    InputError
        If bitsandbytes is not installed, or there is no GPU for it.
    """
    if quantize is None:
        return {}
    if quantize not in ("8bit", "4bit"):
        raise InputError(f"got {quantize!r}, allowed are 8bit, 4bit", field="quantize")
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise InputError(
            "got a quantised load, which needs bitsandbytes: pip install bitsandbytes", field="quantize"
        ) from None
    if device.type != "cuda":
        raise InputError(f"got device {device}, allowed is a CUDA GPU", field="quantize")
    from transformers import BitsAndBytesConfig

    if quantize == "8bit":
        config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=WHOLE)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=WHOLE,
        )
    return {"quantization_config": config, "device_map": {"": device}}
