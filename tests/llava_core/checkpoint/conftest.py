"""Small random models in the layouts of others, saved as their authors would."""

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import (
    AutoModelForCausalLM,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaProcessor,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

IMAGE_SIZE, PATCH_SIZE = 28, 14
WORDS = [
    "▁",
    "▁USER",
    ":",
    "▁What",
    "▁colour",
    "?",
    "▁AS",
    "SIST",
    "ANT",
    "▁red",
    "\n",
    *"abcdefghijklmnopqrstuvwxyz.'",
]


def llama_tokenizer(*, with_image=False):
    """LLaMA's construction in the small: a prefix space, byte fallback, no image token of its own."""
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    vocabulary = {word: index for index, word in enumerate(["<unk>", "<s>", "</s>", *bytes_, *WORDS])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    extra = {"additional_special_tokens": ["<image>"]} if with_image else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", **extra
    )


def clip_config():
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
        "image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE,
    }  # fmt: skip
    text = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
        "vocab_size": 300, "max_position_embeddings": 20, "eos_token_id": 2, "bos_token_id": 1,
    }  # fmt: skip
    return CLIPConfig(vision_config=vision, text_config=text, projection_dim=16)


SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 256,
}  # fmt: skip
LLMS = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}
PIL = {"size": {"shortest_edge": IMAGE_SIZE}, "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE}}


def random_weights(model, seed=0):
    """Weights large enough that a mistake in a layer shows in the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=generator) * (0.15 if parameter.ndim > 1 else 0.5)
            )
    return model.eval()


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    random_weights(CLIPModel(clip_config())).save_pretrained(folder)
    llama_tokenizer().save_pretrained(folder)
    CLIPImageProcessorPil(**PIL).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=sorted(LLMS))
def llm_folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = llama_tokenizer()
    config = LLMS[request.param](vocab_size=len(tokenizer), **SIZES)
    random_weights(AutoModelForCausalLM.from_config(config), 1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def stock_llava(*, act="gelu", select="default", layer=-2):
    tokenizer = llama_tokenizer(with_image=True)
    config = LlavaConfig(
        vision_config=clip_config().vision_config,
        text_config=LlamaConfig(vocab_size=320, **SIZES),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projector_hidden_act=act,
        vision_feature_select_strategy=select,
        vision_feature_layer=layer,
        image_seq_length=4,
    )
    model = random_weights(LlavaForConditionalGeneration(config), 2)
    processor = LlavaProcessor(
        image_processor=LlavaImageProcessorPil(do_pad=True, **PIL),
        tokenizer=tokenizer,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy=select,
        num_additional_image_tokens=1,
    )
    return model, processor


@pytest.fixture(scope="session")
def hf_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llava-hf")
    model, processor = stock_llava()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def original_folder(tmp_path, clip_folder):
    """Return a function that writes an original checkpoint and gives it with its weights."""

    def write(kind="linear", **fields):
        from safetensors.torch import load_file

        folder = tmp_path / f"original-{kind}"
        folder.mkdir()
        tokenizer = llama_tokenizer()
        config = LlamaConfig(vocab_size=len(tokenizer), **SIZES)
        llm = random_weights(AutoModelForCausalLM.from_config(config), 3)
        generator = torch.Generator().manual_seed(4)
        shapes = {"weight": (32, 32), "bias": (32,)}
        if kind == "mlp2x_gelu":
            shapes = {f"{layer}.{name}": shape for layer in (0, 2) for name, shape in shapes.items()}
        weights = dict(llm.state_dict()) | {
            f"model.mm_projector.{name}": torch.randn(shape, generator=generator) * 0.3
            for name, shape in shapes.items()
        }
        names = sorted(weights)
        shards = {
            "pytorch_model-00001-of-00002.bin": names[::2],
            "pytorch_model-00002-of-00002.bin": names[1::2],
        }
        for shard, part in shards.items():
            torch.save({name: weights[name].clone() for name in part}, folder / shard)
        index = {"weight_map": {name: shard for shard, part in shards.items() for name in part}}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        told = config.to_dict() | {
            "model_type": "llava_llama",
            "architectures": ["LlavaLlamaForCausalLM"],
            "mm_vision_tower": str(clip_folder),
            "mm_projector_type": kind,
            "mm_hidden_size": 32,
            "mm_vision_select_layer": -2,
            "mm_vision_select_feature": "patch",
            "mm_use_im_start_end": False,
            "mm_use_im_patch_token": False,
        }
        (folder / "config.json").write_text(json.dumps(told | fields))
        tokenizer.save_pretrained(folder)
        clip = load_file(clip_folder / "model.safetensors")
        return folder, weights, clip

    return write
