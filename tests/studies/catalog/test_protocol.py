from collections.abc import Callable
from dataclasses import replace

import pytest

from llava_core.data.example import Dataset, Example
from llava_core.errors import InputError
from studies.catalog.protocol import choose_protocol, unused, without_families_of

MakeDataset = Callable[..., Dataset]


def ids(examples: tuple[Example, ...]) -> set[str]:
    return {example.id for example in examples}


def test_the_bundled_parts_keep_captions_for_the_first_stage_only(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(
        {"train_llm": 2, "train_ensemble": 3, "val": 2, "test": 4}, caption="a red ball", slice="main"
    )
    protocol = choose_protocol(dataset, seed=0)
    assert protocol.name == "bundled"
    assert protocol.is_ours
    assert [len(part) for part in (protocol.train_llm, protocol.train, protocol.val)] == [2, 3, 2]
    assert all(example.caption is None for example in protocol.used)
    assert all(example.caption for example in protocol.train_llm)


def test_the_headline_of_the_bundled_data_is_its_main_slice(make_dataset: MakeDataset) -> None:
    dataset = make_dataset({"train_llm": 2, "train_ensemble": 3, "val": 2, "test": 4}, slice="main")
    other = tuple(replace(e, slice="facts") if e.id in ("test1", "test2") else e for e in dataset.examples)
    protocol = choose_protocol(replace(dataset, examples=other), seed=0)
    assert ids(protocol.headline) == {"test0", "test3"}
    assert len(protocol.test) == 4


def test_an_official_split_is_scored_on_its_image_questions(make_dataset: MakeDataset) -> None:
    dataset = make_dataset({"train": 3, "val": 2, "test": 4})
    shown = tuple(replace(e, has_image=e.id.endswith("1")) for e in dataset.examples)
    protocol = choose_protocol(replace(dataset, examples=shown), seed=0)
    assert (protocol.name, protocol.is_ours) == ("official", False)
    assert ids(protocol.headline) == {"test1"}
    assert ids(choose_protocol(dataset, seed=0).headline) == ids(protocol.test)


def test_published_answers_restrict_the_test_to_what_all_answer(make_dataset: MakeDataset) -> None:
    dataset = make_dataset({"train": 3, "test": 4}, has_image=True)
    protocol = choose_protocol(dataset, seed=0, answered={"test1", "test3", "elsewhere"})
    assert ids(protocol.test) == ids(protocol.headline) == {"test1", "test3"}
    assert "nested" in protocol.told


def test_without_parts_families_are_dealt_whole(make_dataset: MakeDataset) -> None:
    dataset = make_dataset({None: 200})
    joined = tuple(replace(e, group=str(i // 2)) for i, e in enumerate(dataset.examples))
    protocol = choose_protocol(replace(dataset, examples=joined), seed=3)
    parts = (protocol.train, protocol.val, protocol.test)
    assert [len(part) for part in parts] == [120, 40, 40]
    families = [{example.group for example in part} for part in parts]
    assert not families[0] & families[1] | families[0] & families[2] | families[1] & families[2]
    assert {example.split for example in protocol.test} == {"test"}


def test_a_limit_draws_the_same_questions_for_a_seed(make_dataset: MakeDataset) -> None:
    dataset = make_dataset({"train": 50, "val": 5, "test": 50})
    one, same, other = (choose_protocol(dataset, seed=seed, limit=10) for seed in (1, 1, 2))
    assert (len(one.train), len(one.val), len(one.test)) == (10, 5, 10)
    assert one.train == same.train
    assert ids(one.train) != ids(other.train)


@pytest.mark.parametrize("parts", [{"train": 3}, {"test": 3}, {"pretrain": 3, "test": 2}])
def test_parts_that_are_missing_are_told(parts: dict[str, int], make_dataset: MakeDataset) -> None:
    with pytest.raises(InputError, match="train and test"):
        choose_protocol(make_dataset(parts), seed=0)


def test_unlabelled_questions_cannot_be_studied(make_dataset: MakeDataset) -> None:
    with pytest.raises(InputError, match="no labelled question of part train"):
        choose_protocol(make_dataset({"train": 3, "test": 3}, answer=None), seed=0)


def test_families_of_the_test_leave_training(make_dataset: MakeDataset) -> None:
    dataset = make_dataset({"train": 3, "val": 3, "test": 3})
    joined = tuple(replace(e, group=e.id[-1]) if e.id != "train0" else e for e in dataset.examples)
    reduced = without_families_of(choose_protocol(replace(dataset, examples=joined), seed=0))
    assert ids(reduced.train) == {"train0"}
    assert reduced.val == ()
    assert len(reduced.test) == 3


def test_what_is_not_used_is_counted(make_dataset: MakeDataset) -> None:
    dataset = make_dataset({"train": 3, "test": 4, "minitrain": 2})
    unlabelled = tuple(replace(e, answer=None) if e.id == "test2" else e for e in dataset.examples)
    dataset = replace(dataset, examples=unlabelled)
    gaps = unused(dataset, choose_protocol(dataset, seed=0))
    assert [(gap.what, gap.split, gap.missing, gap.of) for gap in gaps] == [
        ("label", "test", 1, 4),
        ("use in this study", "minitrain", 2, 2),
    ]
