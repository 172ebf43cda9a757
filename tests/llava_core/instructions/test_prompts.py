"""Prompts: those of the package, and those of a user."""

from pathlib import Path

import pytest

from llava_core.errors import InputError
from llava_core.instructions.kinds import KINDS, chosen_kinds
from llava_core.instructions.prompts import fingerprint, load_prompts

ALL = list(KINDS.values())


def write_prompts(folder: Path, reply: str) -> Path:
    own = folder / "prompts" / "complex_reasoning"
    own.mkdir(parents=True)
    (own / "system_message.txt").write_text("Ask something hard.")
    (own / "000_caps.txt").write_text("A dog.\n")
    (own / "000_conv.txt").write_text(reply)
    return folder / "prompts"


def test_ours_have_as_many_examples_as_the_published_ones_and_the_same_layout() -> None:
    prompts = load_prompts(ALL)
    assert {name: (len(prompt.opening) - 1) // 2 for name, prompt in prompts.items()} == {
        "conversation": 2,
        "detail": 3,
        "reasoning": 3,
    }
    for name, prompt in prompts.items():
        roles = [message.role for message in prompt.messages("A dog.")]
        assert roles == ["system", *["user", "assistant"] * ((len(roles) - 2) // 2), "user"]
        shown = [message.text for message in prompt.opening if message.role == "user"]
        for text in shown:
            captions, _, boxes = text.partition("\n\n")
            assert len(captions.splitlines()) == 5
            assert bool(boxes) == KINDS[name].boxes
            for line in boxes.splitlines():
                category, _, box = line.partition(": ")
                left, top, right, bottom = (float(side) for side in box.strip("[]").split(", "))
                assert 0 <= left < right <= 1, line
                assert 0 <= top < bottom <= 1, line
                assert box == str([left, top, right, bottom]), category


def test_detailed_descriptions_have_16_different_questions() -> None:
    prompts = load_prompts(ALL)
    assert len(set(prompts["detail"].questions)) == 16
    assert prompts["conversation"].questions == prompts["reasoning"].questions == ()


def test_own_prompts_replace_ours(tmp_path: Path) -> None:
    folder = write_prompts(tmp_path, "Question: Why?\n===\nAnswer: Because.")
    prompts = load_prompts([KINDS["reasoning"]], folder)
    assert [message.text for message in prompts["reasoning"].messages("B")] == [
        "Ask something hard.",
        "A dog.",
        "Question: Why?\n===\nAnswer: Because.",
        "B",
    ]
    assert fingerprint(prompts) != fingerprint(load_prompts([KINDS["reasoning"]]))


def test_an_example_that_would_be_refused_is_refused(tmp_path: Path) -> None:
    folder = write_prompts(tmp_path, "Because of the dog.")
    with pytest.raises(InputError, match=r"000_conv\.txt: would be refused as a reply"):
        load_prompts([KINDS["reasoning"]], folder)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of prompts"):
        load_prompts(ALL, tmp_path / "none")
    folder = write_prompts(tmp_path, "Question: Why?\n===\nAnswer: Because.")
    with pytest.raises(InputError, match=r"conversation: no such folder"):
        load_prompts(ALL, folder)
    (folder / "complex_reasoning" / "000_caps.txt").unlink()
    with pytest.raises(InputError, match=r"lacks 000_caps.txt beside 000_conv.txt"):
        load_prompts([KINDS["reasoning"]], folder)
    (folder / "complex_reasoning" / "000_conv.txt").unlink()
    (folder / "complex_reasoning" / "system_message.txt").write_text("")
    with pytest.raises(InputError, match=r"system_message.txt: is empty"):
        load_prompts([KINDS["reasoning"]], folder)


@pytest.mark.parametrize("names", [["detail", "detail"], ["details"], [""]])
def test_kinds_are_known_and_named_once(names: list[str]) -> None:
    with pytest.raises(InputError, match="allowed are conversation, detail, reasoning, each once"):
        chosen_kinds(names)
