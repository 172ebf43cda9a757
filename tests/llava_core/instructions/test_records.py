"""Records and the choice of images: seeded, and independent of what else is made."""

from collections import Counter

import pytest

from llava_core.errors import InputError
from llava_core.instructions.asking import wanted_records
from llava_core.instructions.kinds import KINDS
from llava_core.instructions.records import answers_of, choose_scenes, questions_of, record
from llava_core.instructions.replies import Pair
from llava_core.instructions.scene import Scene

DETAIL, CONVERSATION = KINDS["detail"], KINDS["conversation"]
QUESTIONS = tuple(f"Question {n}?" for n in range(16))


def scene(n: int) -> Scene:
    return Scene(id=str(n), image=f"{n}.jpg", captions=("A dog.",))


def test_a_record_keeps_the_published_schema() -> None:
    pairs = [Pair(question="Who?", answer="A man."), Pair(question="Where?", answer="Here.")]
    made = record(CONVERSATION, scene(7), pairs, questions=(), seed=0)
    assert made["id"] == "7"
    assert made["image"] == "7.jpg"
    assert [turn["from"] for turn in made["conversations"]] == ["human", "gpt", "human", "gpt"]
    assert made["conversations"][0]["value"] in ("<image>\nWho?", "Who?\n<image>")
    assert made["conversations"][2]["value"] == "Where?"
    assert questions_of(made) == ["Who?", "Where?"]
    assert answers_of(made) == ["A man.", "Here."]


def test_questions_and_the_place_of_the_image_are_drawn_evenly_and_alike_for_a_seed() -> None:
    def drawn(seed: int) -> list[str]:
        pair = Pair(question=None, answer="A dog.")
        made = [record(DETAIL, scene(n), [pair], questions=QUESTIONS, seed=seed) for n in range(1600)]
        return [each["conversations"][0]["value"] for each in made]

    texts = drawn(0)
    assert texts == drawn(0)
    assert texts != drawn(1)
    # Five standard deviations of a binomial: 20 of 800 and 9.7 of 100.
    assert abs(sum(text.startswith("<image>") for text in texts) - 800) < 100
    counts = Counter(text.replace("<image>", "").strip() for text in texts)
    assert set(counts) == set(QUESTIONS)
    assert all(abs(n - 100) < 49 for n in counts.values())


@pytest.mark.parametrize("draw", ["independent", "same", "apart"])
def test_more_images_add_to_the_fewer(draw: str) -> None:
    kinds = ["conversation", "detail", "reasoning"]
    few = choose_scenes(60, kinds, 5, seed=3, draw=draw)
    many = choose_scenes(60, kinds, 20, seed=3, draw=draw)
    assert [chosen[:5] for chosen in many] == few
    assert all(len(set(chosen)) == 20 and max(chosen) < 60 for chosen in many)
    if draw == "apart":
        assert len({image for chosen in many for image in chosen}) == 60
    elif draw == "same":
        assert many[0] == many[1] == many[2]
    else:
        assert many[0] != many[1] != many[2]
    assert choose_scenes(60, kinds, 5, seed=4, draw=draw) != few


def test_all_images_are_taken_where_no_number_is_told() -> None:
    assert [sorted(chosen) for chosen in choose_scenes(4, ["a", "b"], None, seed=0, draw="same")] == [
        [0, 1, 2, 3]
    ] * 2
    assert [len(chosen) for chosen in choose_scenes(5, ["a", "b"], None, seed=0, draw="apart")] == [2, 2]


def test_too_few_images_are_told() -> None:
    with pytest.raises(
        InputError, match="got 3, allowed are 1 to 2: there are 4 images, with no image used twice"
    ):
        choose_scenes(4, ["a", "b"], 3, seed=0, draw="apart")
    with pytest.raises(InputError, match="field per-kind: got 5, allowed are 1 to 4"):
        choose_scenes(4, ["a", "b"], 5, seed=0, draw="same")


def test_kinds_come_by_turns() -> None:
    wanted = wanted_records([DETAIL, CONVERSATION], [[3, 1], [0, 2]])
    assert [(each.kind.name, each.index) for each in wanted] == [
        ("detail", 3),
        ("conversation", 0),
        ("detail", 1),
        ("conversation", 2),
    ]
