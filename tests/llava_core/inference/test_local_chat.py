import shutil

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llava_core.backends.chat import BackendError, Message, Reply, Request
from llava_core.errors import InputError
from llava_core.inference.local_chat import LocalBackend

WORDS = ["<end>", "<user>", "<assistant>", *"abcdefghijklmnopqrstuvwxyz"]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("chat")
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=40, eos_token_id=0, bos_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(made)
    core = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="a"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", chat_template=TEMPLATE)
    tokenizer.save_pretrained(made)
    return made


def asking(text: str, **settings) -> Request:
    return Request(id=text, messages=(Message(role="user", text=text),), **settings)


def test_greedy_replies_are_the_models_own_and_no_batch_changes_them(folder) -> None:
    backend = LocalBackend(str(folder), device="cpu")
    model = LlamaForCausalLM.from_pretrained(folder).eval()
    requests = [asking(text, max_tokens=6) for text in ("a b c", "q", "m n o p q r s")]
    together = backend.reply(requests)
    assert together == [backend.reply([request])[0] for request in requests]
    for request, reply in zip(requests, together, strict=True):
        ids = [WORDS.index(word) for word in ["<user>", *request.id.split(), "<assistant>"]]
        written: list[int] = []
        with torch.no_grad():  # an independent loop: the likeliest next token, one at a time
            while len(written) < 6 and 0 not in written:
                written.append(int(model(torch.tensor([ids + written])).logits[0, -1].argmax()))
        told = [WORDS[token] for token in written if token != 0]
        assert reply == Reply(
            text=" ".join(told), finish="stop" if 0 in written else "length",
            n_prompt_tokens=len(ids), n_completion_tokens=len(told),
        )  # fmt: skip
        assert backend.n_tokens(request.messages) == len(ids)


def test_draws_belong_to_the_prompt_and_the_attempt(folder) -> None:
    backend = LocalBackend(str(folder), device="cpu")
    hot = [asking(text, temperature=1.0, max_tokens=12) for text in ("a b", "c")]
    mixed = [*hot, asking("a b", max_tokens=12), asking("a b", temperature=1.0, max_tokens=12, attempt=1)]
    first, second, greedy, again = backend.reply(mixed)
    assert [first, second] == [backend.reply([request])[0] for request in hot]
    assert len({reply.text for reply in (first, greedy, again) if isinstance(reply, Reply)}) == 3


def test_replies_end_where_the_span_does(folder) -> None:
    backend = LocalBackend(str(folder), device="cpu")
    long = " ".join("abcdefghij" * 3)
    fits, too_long = backend.reply([asking(long, max_tokens=100), asking(f"{long} {long}", max_tokens=100)])
    assert isinstance(fits, Reply)
    assert fits.n_prompt_tokens + fits.n_completion_tokens <= 40
    assert isinstance(too_long, BackendError)
    assert str(too_long) == "a prompt of 62 tokens, the model's span is 40"


@pytest.mark.parametrize("refused", ["system", "user"])
def test_a_template_that_refuses_a_role(folder, tmp_path, refused: str) -> None:
    shutil.copytree(folder, tmp_path / "strict")
    refuse = (
        "{% for m in messages if m.role == '"
        + refused
        + "' %}{{ raise_exception('no such role') }}{% endfor %}"
    )
    (tmp_path / "strict" / "chat_template.jinja").write_text(refuse + TEMPLATE)
    strict = LocalBackend(str(tmp_path / "strict"), device="cpu")
    messages = (Message(role="system", text="b c"), Message(role="user", text="d e"))
    if refused == "user":
        with pytest.raises(InputError, match=r"field local: the chat template of .* refuses"):
            strict.n_tokens(messages)
        return
    [reply] = strict.reply([Request(id="1", messages=messages, max_tokens=4)])
    [joined] = LocalBackend(str(folder), device="cpu").reply([asking("b c d e", max_tokens=4)])
    assert isinstance(reply, Reply)
    assert reply == joined


def test_a_model_without_a_chat_template_is_refused(folder, tmp_path) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "plain")
    (tmp_path / "plain" / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="has no chat template"):
        LocalBackend(str(tmp_path / "plain"), device="cpu")
