from dataclasses import replace

import numpy as np
import pytest

from studies.design import option_table
from studies.design.memory import KEYS, TextMemory, memory_folds
from studies.design.neighbours import NeighbourMemory

from .conftest import make_examples


def flip_family(examples, family):
    """Give every question of one family another right answer."""
    return [replace(e, answer=(e.answer + 1) % len(e.options)) if e.group == family else e for e in examples]


@pytest.mark.parametrize("memory", [TextMemory(), NeighbourMemory()])
def test_training_rows_never_read_labels_of_their_own_family(examples, memory):
    before, after = option_table(examples), option_table(flip_family(examples, "family3"))
    own = before.families == "family3"
    first = memory.fit_transform(before.frame, before.y, groups=before.groups)
    second = memory.fit_transform(after.frame, after.y, groups=after.groups)
    np.testing.assert_array_equal(first[own], second[own])
    assert not np.array_equal(first[~own], second[~own])


@pytest.mark.parametrize("memory", [TextMemory(keep="question"), NeighbourMemory(keep="question")])
def test_training_rows_never_read_their_own_label(examples, memory):
    changed = list(examples)
    changed[7] = replace(examples[7], answer=(examples[7].answer + 1) % len(examples[7].options))
    before, after = option_table(examples), option_table(changed)
    own = before.questions == 7
    first = memory.fit_transform(before.frame, before.y)
    second = memory.fit_transform(after.frame, after.y)
    np.testing.assert_array_equal(first[own], second[own])
    assert not np.array_equal(first[~own], second[~own])


def test_rates_match_counting_by_hand(examples):
    table = option_table(examples)
    memory = TextMemory(keys=("option",), smoothing=2.0).fit(table.frame, table.y)
    features = memory.transform(table.frame)
    for option in ("red", "blue"):
        offered = [e for e in examples if option in e.options]
        right = sum(e.options[e.answer] == option for e in offered)
        guessed = sum(1 / len(e.options) for e in offered)
        row = table.frame["option"].tolist().index(option)
        assert features[row, 0] == pytest.approx(np.log((right + 2) / (guessed + 2)), rel=1e-6)
        assert features[row, 2] == pytest.approx(np.log1p(len(offered)), rel=1e-6)


def test_text_never_seen_is_zero_and_no_picture_is_no_memory(examples):
    table = option_table(examples)
    memory = TextMemory().fit(table.frame, table.y)
    new = [replace(examples[0], options=("mauve", "teal"), answer=0, question="Something else entirely?")]
    assert not memory.transform(option_table(new).frame).any()
    plain = [replace(e, caption=None, has_image=False) for e in examples]
    names = memory.get_feature_names_out()
    of_pictures = np.array([name.startswith("picture") for name in names])
    plain_table = option_table(plain)
    memory.fit(plain_table.frame, plain_table.y)
    assert not memory.transform(plain_table.frame)[:, of_pictures].any()


def test_similar_question_lends_its_answer():
    base = make_examples(40)
    known = [
        replace(e, question=f"Capital of land{i}?", options=("oslo", "rome"), answer=1)
        for i, e in enumerate(base)
    ]
    table = option_table(known)
    memory = NeighbourMemory(views=("question",)).fit(table.frame, table.y)
    asked = option_table([replace(known[0], id="new", question="Capital of land7, please?", answer=None)])
    lead = memory.transform(asked.frame)[:, memory.get_feature_names_out().tolist().index("question_lead")]
    assert lead[1] > 0 > lead[0]


def test_folds_keep_families_or_only_questions(examples):
    table = option_table(examples)
    fold = memory_folds(table.frame, table.groups, keep="family", n_folds=4, seed=0)
    assert all(len(set(fold[table.groups == g])) == 1 for g in set(table.groups))
    fold = memory_folds(table.frame, None, keep="question", n_folds=4, seed=0)
    assert all(len(set(fold[table.questions == q])) == 1 for q in set(table.questions))
    assert any(len(set(fold[table.groups == g])) > 1 for g in set(table.groups))
    with pytest.raises(ValueError, match="groups"):
        memory_folds(table.frame, None, keep="family", n_folds=4, seed=0)


def test_unknown_names_list_the_known(examples):
    table = option_table(examples)
    with pytest.raises(ValueError, match=", ".join(KEYS)):
        TextMemory(keys=("letter",)).fit(table.frame, table.y)
    with pytest.raises(ValueError, match="question, picture, offer"):
        NeighbourMemory(views=("sound",)).fit(table.frame, table.y)
