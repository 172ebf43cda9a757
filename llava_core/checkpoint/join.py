"""A bare CLIP and a bare language model, joined by a fresh projector [edge].

The language model gets the image token where its tokenizer lacks it: new rows of the embeddings and of the
head are the mean of the existing ones, up to a multiple of 64 rows, as in ``llava-hf``. The row of the image
token itself is never read: patches stand in its place.
"""

from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    CLIPImageProcessorPil,
    CLIPModel,
    LlavaImageProcessorPil,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from llava_core.checkpoint.bundle import LlavaBundle
from llava_core.checkpoint.sources import (
    find_folder,
    load_whole,
    read_config,
    read_image_processor,
    read_tokenizer,
)
from llava_core.checkpoint.stock import check_llm
from llava_core.data.conversation import IMAGE_TOKEN
from llava_core.data.template import TEMPLATES
from llava_core.errors import InputError
from llava_core.model.llava import LlavaModel
from llava_core.model.projector import PROJECTORS, build_projector

ROWS_MULTIPLE = 64


def join_models(
    clip: str | Path,
    llm: str | Path,
    *,
    projector: str = "linear",
    template: str = "v1",
    pad_to_square: bool = False,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> LlavaBundle:
    """Return a LLaVA of two published models and an untrained projector.

    Parameters
    ----------
    clip, llm : str or Path
        Folder or hub name of a CLIP, and of a language model of type llama, mistral or qwen2.
    projector : str
        Kind, of `llava_core.model.projector.PROJECTORS`.
    template : str
        Of `llava_core.data.template.TEMPLATES`.
    pad_to_square : bool
        Pad images to a square in CLIP's mean colour before they are resized, as LLaVA 1.5 does; otherwise the
        short side is resized and the middle cut out.
    dtype : torch.dtype
    seed : int
        Of the projector.

    Raises
    ------
    InputError
        If a model is not there or of another type, or the parts do not fit.
    """
    if template not in TEMPLATES:
        raise InputError(f"got {template!r}, allowed are {', '.join(sorted(TEMPLATES))}", field="template")
    if projector not in PROJECTORS:
        raise InputError(f"got {projector!r}, allowed are {', '.join(PROJECTORS)}", field="projector")
    clip_folder, llm_folder = find_folder(clip), find_folder(llm)
    found = read_config(clip_folder).get("model_type")
    if found != "clip":
        raise InputError(
            f"got a model of type {found!r}, allowed is clip", path=clip_folder, field="model_type"
        )
    check_llm(str(read_config(llm_folder).get("model_type")), path=llm_folder)
    whole = load_whole(CLIPModel, clip_folder, dtype=dtype).eval()
    language = load_whole(AutoModelForCausalLM, llm_folder, dtype=dtype).eval()
    tokenizer = read_tokenizer(llm_folder)
    image_token_id = add_image_token(language, tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            fresh = build_projector(
                projector,
                whole.config.vision_config.hidden_size,
                language.config.hidden_size,
                n_llm_layers=language.config.num_hidden_layers,
            ).to(dtype)
        except ValueError as error:
            raise InputError(str(error), field="projector") from None
    processor = read_image_processor(clip_folder)
    return LlavaBundle(
        model=LlavaModel(whole.vision_model, fresh, language, image_token_id=image_token_id).eval(),
        tokenizer=tokenizer,
        image_processor=padding(processor) if pad_to_square else processor,
        template=TEMPLATES[template],
        clip=whole.requires_grad_(False),
        clip_tokenizer=read_tokenizer(clip_folder),
    )


def add_image_token(llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the id of the image token, added to tokenizer and language model where it is missing."""
    if IMAGE_TOKEN not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE_TOKEN]})
    image_token_id = int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))
    n_rows = llm.get_input_embeddings().weight.shape[0]
    if image_token_id >= n_rows:
        n_wanted = -(-(image_token_id + 1) // ROWS_MULTIPLE) * ROWS_MULTIPLE
        llm.resize_token_embeddings(n_wanted, mean_resizing=False)
        for module in (llm.get_input_embeddings(), llm.get_output_embeddings()):
            weight: Tensor = module.weight
            with torch.no_grad():
                weight[n_rows:] = weight[:n_rows].float().mean(0).to(weight.dtype)
    return image_token_id


def padding(processor: CLIPImageProcessorPil | LlavaImageProcessorPil) -> LlavaImageProcessorPil:
    """Return the preprocessing with padding to a square before it."""
    told = processor.to_dict() | {"do_pad": True}
    for name in ("image_processor_type", "processor_class", "pad_size"):
        told.pop(name, None)
    padded: LlavaImageProcessorPil = LlavaImageProcessorPil(**told)
    return padded
