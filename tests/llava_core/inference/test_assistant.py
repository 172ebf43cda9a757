"""The Python API: the same answers as `generate`, a chat with its history, loading."""

import subprocess
import sys

import pytest
import torch

import llava_core
from llava_core.checkpoint import save_checkpoint
from llava_core.data.conversation import Turn
from llava_core.errors import InputError
from llava_core.inference.assistant import Llava
from llava_core.inference.decoding import Decoding
from llava_core.inference.generate import Dialogue, generate

SIX = Decoding(max_new_tokens=6)


@pytest.fixture
def bundle(lively_bundle):
    return lively_bundle


def test_llava_is_at_hand_and_its_package_imports_no_torch() -> None:
    assert llava_core.Llava is Llava
    with pytest.raises(AttributeError, match="no attribute 'Lava'"):
        llava_core.Lava  # noqa: B018
    probe = "import sys, llava_core; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_answers_are_those_of_generate(bundle, drawn) -> None:
    paths = [str(example.image) for example in drawn[:3]]
    llava = Llava(bundle)
    one = llava.answer("Which colour?", paths[0], decoding=SIX)
    talk = Dialogue(turns=(Turn(role="human", text="Which colour?", image="first"),), images=(paths[0],))
    assert [one] == generate(bundle, [talk], SIX)
    asked = [("Which colour?", paths[0]), ("Why?",), ("Which is darker?", paths[1], paths[2])]
    seen = []
    answers = llava.answer_all(asked, batch_size=2, decoding=SIX, progress=lambda *at: seen.append(at))
    assert answers == [llava.answer(*each, decoding=SIX) for each in asked]
    assert seen == [(2, 3), (3, 3)]


def test_a_chat_remembers_turns_and_images(bundle, drawn) -> None:
    paths = [example.image for example in drawn[:3]]
    chat = Llava(bundle).chat(decoding=SIX)
    first = "".join(chat.ask("Which colour?", paths[0]))
    second = "".join(chat.ask("And these?", paths[1], paths[2]))
    third = "".join(chat.ask("Sure?"))
    turns = (
        Turn(role="human", text="Which colour?", image="first"),
        Turn(role="assistant", text=first),
        Turn(role="human", text="And these?", image="first", n_images=2),
        Turn(role="assistant", text=second),
        Turn(role="human", text="Sure?"),
        Turn(role="assistant", text=third),
    )
    assert chat.turns == turns
    for n_turns, n_images, answer in ((1, 1, first), (3, 3, second), (5, 3, third)):
        talk = Dialogue(turns=turns[:n_turns], images=tuple(paths[:n_images]))
        assert generate(bundle, [talk], SIX) == [answer]
    chat.reset()
    assert "".join(chat.ask("Which colour?", paths[0])) == first


def test_a_broken_off_answer_leaves_no_trace(bundle, drawn) -> None:
    chat = Llava(bundle).chat(decoding=Decoding(max_new_tokens=60))
    pieces = chat.ask("Which colour?", drawn[0].image)
    next(pieces)
    pieces.close()
    with pytest.raises(InputError, match="no such image file"):
        list(chat.ask("And this?", "lost.png"))
    assert chat.turns == ()
    assert chat.images == ()


def test_loads_a_folder_onto_a_device_in_a_precision(bundle, drawn, tmp_path) -> None:
    folder = save_checkpoint(bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    asked = ("Which colour?", drawn[0].image)
    expected = Llava(bundle).answer(*asked, decoding=SIX)
    loaded = Llava.load(str(folder), device="cpu")
    assert loaded.answer(*asked, decoding=SIX) == expected
    half = Llava.load(folder, device="cpu", dtype="bfloat16")
    assert {weight.dtype for weight in half.bundle.model.parameters()} == {torch.bfloat16}
    assert len(half.answer(*asked, decoding=SIX)) > 0
    for words, told in (
        ({"device": "abacus"}, "field device: got device 'abacus'"),
        ({"dtype": "int3"}, "field dtype: got 'int3', allowed are float32, bfloat16, float16"),
    ):
        with pytest.raises(InputError) as caught:
            Llava.load(folder, **words)
        assert str(caught.value).startswith(told)
