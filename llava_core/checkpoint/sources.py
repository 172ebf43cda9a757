"""A model's folder from a path or a hub name, and what can be read off it before any weight is [edge].

Nothing is inferred from a name: a folder is a folder, everything else is asked from the hub's cache and then
from the hub, through huggingface_hub with its own settings (``HF_HOME``, ``HF_HUB_OFFLINE``, tokens).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    LlavaImageProcessorPil,
    PreTrainedTokenizerFast,
)
from transformers.image_processing_base import ImageProcessingMixin
from transformers.utils import logging

from llava_core.checkpoint.bundle import ImageProcessor
from llava_core.data.json_file import check_is_file, read_json_object
from llava_core.errors import InputError, shown

MOST_LAYERS = 1000
"""More than any model has; each costs time and memory before a weight is read."""
_UNUSED = ["*.msgpack", "*.h5", "*.ot", "*.onnx", "*.gguf", "original/*", "consolidated*"]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' warnings and progress bars off the terminal inside the block."""
    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def find_folder(source: str | Path) -> Path:
    """Return the local folder of a model.

    Raises
    ------
    InputError
        If there is no such folder, and no such model in the cache or on the hub.
    """
    path = Path(source)
    if path.is_dir():
        for file in path.iterdir():
            if not file.is_dir():
                check_is_file(file)  # the libraries would wait for a pipe
        return path
    if path.is_absolute() or str(source).startswith(".") or str(source).count("/") != 1:
        raise InputError("no such folder, and no name of a model on the hub (owner/name)", path=path)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(source), ignore_patterns=_UNUSED))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"no such folder, and the hub gives no such model ({first})", path=path) from None


def load_whole(kind: Any, folder: Path, *, dtype: torch.dtype, **options: Any) -> Any:
    """Return a model of transformers with every one of its weights from the folder.

    Parameters
    ----------
    kind : class
        Model class of transformers, or ``AutoModelForCausalLM``.
    folder : Path
    dtype : torch.dtype
    **options
        Further arguments of ``from_pretrained``.

    Raises
    ------
    InputError
        If a weight is missing, too many, of another shape, or cannot be read; transformers alone would fill
        what is missing with random numbers.
    """
    with foreign("weights cannot be read", folder), quiet():  # what transformers would warn of is told below
        model, info = kind.from_pretrained(
            str(folder), dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    _check_loaded(info, folder)
    return model


@contextmanager
def foreign(problem: str, path: Path) -> Iterator[None]:
    """Tell whatever the libraries that read models come upon in the block as bad input.

    Raises
    ------
    InputError
        With the problem and the first line of the library's.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        told = str(error).strip() or type(error).__name__
        raise InputError(f"{problem}: {told.splitlines()[0]}", path=path) from None


def read_config(folder: Path) -> dict[str, Any]:
    """Return ``config.json`` of a model.

    Raises
    ------
    InputError
        If it is missing or broken.
    """
    file = folder / "config.json"
    if not file.exists():
        raise InputError("no config.json: not a model's folder", path=folder)
    config = read_json_object(file)
    _check_layers(config, file)
    return config


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return a model's tokenizer.

    Raises
    ------
    InputError
        If there is none, or one that gives no character offsets.
    """
    with (
        foreign("got no tokenizer that transformers can read", folder),
        quiet(),
    ):  # of a type that is ours alone
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    if not tokenizer.is_fast:
        raise InputError("got a tokenizer without character offsets, allowed is a fast one", path=folder)
    return tokenizer


def read_image_processor(folder: Path) -> ImageProcessor:
    """Return a model's image preprocessing, done with Pillow.

    Raises
    ------
    InputError
        If there is none, or another one than CLIP's or LLaVA's.
    """
    with foreign("no preprocessor_config.json or processor_config.json", folder):
        told, _ = ImageProcessingMixin.get_image_processor_dict(str(folder))
    name = str(told.get("image_processor_type") or told.get("feature_extractor_type") or "CLIPImageProcessor")
    kinds = {"CLIP": CLIPImageProcessorPil, "Llava": LlavaImageProcessorPil}
    kind = next(
        (kind for start, kind in kinds.items() if name.startswith((f"{start}Image", f"{start}Feat"))), None
    )
    if kind is None:
        raise InputError(
            f"got {name!r}, allowed are CLIPImageProcessor and LlavaImageProcessor",
            path=folder,
            field="image_processor_type",
        )
    with foreign("got settings of images that transformers cannot read", folder):
        made: ImageProcessor = kind.from_dict(told)
    return made


def _check_layers(config: Mapping[str, Any], file: Path, field: str = "num_hidden_layers") -> None:
    """Refuse numbers of layers that would take hours to lay out."""
    for name, value in config.items():
        if isinstance(value, dict):
            _check_layers(value, file, field)
        elif name == field and (not isinstance(value, int) or not 0 < value <= MOST_LAYERS):
            raise InputError(f"got {shown(value)}, allowed are 1 to {MOST_LAYERS}", path=file, field=field)


def _check_loaded(info: dict[str, Any], folder: Path) -> None:
    """Refuse weights that are missing or of another shape, with the first of each."""
    misfits = sorted(info.get("mismatched_keys", ()))
    if misfits:
        name, got, wanted = misfits[0]
        raise InputError(
            f"got shape {tuple(got)}, config.json needs {tuple(wanted)} ({len(misfits)} weights do not fit)",
            path=folder,
            field=name,
        )
    missing = sorted(info.get("missing_keys", ()))
    if missing:
        raise InputError(f"the weight is missing ({len(missing)} are)", path=folder, field=missing[0])
    unexpected = sorted(info.get("unexpected_keys", ()))
    if unexpected:
        raise InputError(
            f"config.json has no place for the weight ({len(unexpected)} are too many)",
            path=folder,
            field=unexpected[0],
        )
