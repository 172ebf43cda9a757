"""Where a model runs and in which precision."""

import torch

from llava_core.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_place(
    device: str | None, dtype: str | None, *, local_rank: int = 0
) -> tuple[torch.device, torch.dtype]:
    """Return device and precision.

    Parameters
    ----------
    device : str or None
        A device of torch; the GPU of this process if there is one, else the CPU, if not given.
    dtype : str or None
        One of `DTYPES`; bfloat16 on a GPU and float32 elsewhere, if not given.
    local_rank : int
        Which process of this machine this is.

    Raises
    ------
    InputError
        If there is no such device or precision.
    """
    if device is None:
        device = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        problem = str(error).partition("\n")[0]
        raise InputError(f"got device {device!r}: {problem}", field="device") from None
    if dtype is None:
        return place, torch.bfloat16 if place.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise InputError(f"got {dtype!r}, allowed are {', '.join(DTYPES)}", field="dtype")
    return place, DTYPES[dtype]
