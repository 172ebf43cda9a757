from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llava_core.data.example import Dataset
from llava_core.errors import InputError
from llava_core.features.store import FeatureStore
from studies.catalog.audit import (
    audit_folds,
    audit_parts,
    audit_seen,
    audit_store,
    enforce,
    noise_labels,
)
from studies.catalog.protocol import Protocol, choose_protocol

MakeDataset = Callable[..., Dataset]


def leaky(make_dataset: MakeDataset, parts: dict[str, int], **change: object) -> Protocol:
    """Protocol in which the question test0 is changed."""
    dataset = make_dataset(parts)
    changed = tuple(replace(e, **change) if e.id == "test0" else e for e in dataset.examples)  # type: ignore[arg-type]
    return choose_protocol(replace(dataset, examples=changed), seed=0)


BUNDLED = {"train_llm": 2, "train_ensemble": 3, "val": 2, "test": 4}


def failed(protocol: Protocol) -> dict[str, int]:
    return {check.name: check.found for check in audit_parts(protocol) if check.status == "fail"}


def test_clean_parts_pass(make_dataset: MakeDataset) -> None:
    protocol = choose_protocol(make_dataset(BUNDLED), seed=0)
    checks = audit_parts(protocol) + audit_seen(protocol, ["train_llm0"])
    assert {check.status for check in checks} == {"pass"}
    enforce(checks, allow_leak=False)


@pytest.mark.parametrize("source", ["train_ensemble", "train_llm", "val"])
def test_a_family_across_our_parts_stops_the_study(source: str, make_dataset: MakeDataset) -> None:
    protocol = leaky(make_dataset, BUNDLED, group=f"{source}1")
    assert list(failed(protocol).values()) == [1]
    with pytest.raises(InputError, match=r"test families in .*--allow-leak"):
        enforce(audit_parts(protocol), allow_leak=False)
    enforce(audit_parts(protocol), allow_leak=True)


def test_a_repeated_question_is_found_even_in_another_family(make_dataset: MakeDataset) -> None:
    protocol = leaky(make_dataset, BUNDLED, question="Which is val1?", options=("blue", "red", "green"))
    assert failed(protocol) == {"test questions repeated in val": 1}


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_equal_questions_in_different_families_stop_the_study(part: str, make_dataset: MakeDataset) -> None:
    protocol = choose_protocol(make_dataset({"train": 6, "val": 3, "test": 4}), seed=0)
    first, second, *others = getattr(protocol, part)
    twin = replace(first, id="twin", group="elsewhere")
    checks = audit_parts(replace(protocol, **{part: (first, second, *others, twin)}))
    assert {check.name: check.found for check in checks if check.status == "fail"}[
        "equal questions in different families"
    ] == 1


def test_a_question_of_train_that_val_repeats_is_found(make_dataset: MakeDataset) -> None:
    protocol = choose_protocol(make_dataset({"train": 6, "val": 3, "test": 4}), seed=0)
    twin = replace(protocol.train[0], id="twin", split="val")
    checks = audit_parts(replace(protocol, val=(*protocol.val, twin)))
    assert {check.name: check.found for check in checks}["val questions repeated in train"] == 1


def test_seen_facts_are_reported_and_not_a_leak(make_dataset: MakeDataset) -> None:
    protocol = leaky(make_dataset, BUNDLED, group="train_ensemble1", slice="seen_facts")
    assert failed(protocol) == {}
    assert [c.found for c in audit_parts(protocol) if c.status == "reported"] == [1]


def test_what_an_official_split_shares_is_reported(make_dataset: MakeDataset) -> None:
    protocol = leaky(make_dataset, {"train": 3, "val": 2, "test": 4}, group="train1")
    found = {check.name: check.found for check in audit_parts(protocol) if check.status == "reported"}
    assert found == {"test families in train": 1}
    enforce(audit_parts(protocol), allow_leak=False)


def test_questions_that_llava_saw_stop_the_study(make_dataset: MakeDataset) -> None:
    protocol = choose_protocol(make_dataset({"train": 3, "test": 4}), seed=0)
    checks = audit_seen(protocol, ["train0", "train2", "elsewhere"])
    assert [(check.status, check.found) for check in checks] == [("fail", 2), ("pass", 0), ("pass", 0)]


def test_families_across_folds_are_counted() -> None:
    assert audit_folds([0, 0, 1, 1], [5, 5, 7, 8]).status == "pass"
    check = audit_folds([0, 1, 1, 0], [5, 5, 7, 7])
    assert (check.status, check.found) == ("fail", 2)


def test_noise_labels_keep_one_right_option_and_forget_the_truth() -> None:
    sizes = np.random.default_rng(0).integers(2, 6, 3000)
    questions = np.repeat(np.arange(3000), sizes)
    y = (np.diff(questions, prepend=-1) > 0).astype(np.int8)  # the first option is always right
    noise = noise_labels(y, questions, seed=1)
    assert np.array_equal(np.bincount(questions, weights=noise), np.ones(3000))
    kept = (noise * y).sum() / 3000
    assert abs(kept - (1 / sizes).mean()) < 0.03


def test_what_a_store_does_not_know_or_have_is_reported(make_dataset: MakeDataset, tmp_path: Path) -> None:
    protocol = choose_protocol(make_dataset(BUNDLED), seed=0)
    rows = pd.DataFrame({"example_id": ["test0", "val0"], "n_options": 2, "seen_in_training": [True, False]})
    told = {"blocks": {}, "left_out": {"clip_image": "no CLIP", "clip_text": "no CLIP"}}
    known = audit_store(protocol, FeatureStore(tmp_path, told, rows))
    assert [(check.name, check.status, check.found) for check in known] == [
        ("train questions that LLaVA was trained on", "pass", 0),
        ("val questions that LLaVA was trained on", "pass", 0),
        ("test questions that LLaVA was trained on", "fail", 1),
        ("blocks of features that are missing", "reported", 2),
    ]
    assert known[-1].detail == "clip_image, clip_text: no CLIP"
    unknown = audit_store(protocol, FeatureStore(tmp_path, {**told, "knows_seen_in_training": False}, rows))
    assert [check.status for check in unknown] == ["reported", "reported"]
    assert unknown[0].detail.startswith("unknown: the checkpoint does not say")
