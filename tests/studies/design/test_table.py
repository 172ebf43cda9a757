from dataclasses import replace

import numpy as np
import pytest

from llava_core.data.example import Example
from studies.design import option_table, without_families


def test_rows_follow_the_options(examples):
    table = option_table(examples)
    assert table.n_questions == len(examples)
    assert len(table.y) == sum(len(e.options) for e in examples)
    assert table.frame["option"].tolist() == [text for e in examples for text in e.options]
    by_question = {
        q: table.option_index[table.questions == q][table.y[table.questions == q] == 1] for q in range(5)
    }
    assert [int(index[0]) for index in by_question.values()] == [e.answer for e in examples[:5]]


def test_unlabelled_questions_are_marked_not_guessed(examples):
    table = option_table([replace(examples[0], answer=None), examples[1]])
    assert set(table.y[table.questions == 0]) == {-1}
    assert table.y[table.questions == 1].sum() == 1


def test_no_column_holds_the_answer_the_slot_or_an_id(examples):
    secret = [replace(e, lecture="LECTURE", solution="SOLUTION", skill="SKILL") for e in examples]
    columns = option_table(secret).frame
    assert {"question_id", "n_options", "has_image", "question", "hint", "caption", "ocr", "option"} == set(
        columns
    )


def test_guessed_and_missing_answers_are_nan(examples, answers):
    table = option_table(examples, answers=answers)
    chosen = table.frame["chosen:first"].to_numpy()
    guessed = table.questions % 2 == 1
    assert np.isnan(chosen[guessed]).all()
    assert np.array_equal(chosen[~guessed], (table.option_index[~guessed] == 0).astype(float))
    assert np.isnan(table.frame["chosen:second"].to_numpy()[table.questions == 0]).all()


def test_store_blocks_are_read_by_example_and_by_option(examples, store):
    shuffled = [examples[i] for i in np.random.default_rng(1).permutation(len(examples))]
    table = option_table(shuffled, store=store)
    row = int(np.flatnonzero(table.questions == 7)[1])
    at = [e.id for e in examples].index(shuffled[7].id)
    np.testing.assert_allclose(
        table.frame["projector"][row], store.arrays["projector"][at].astype(np.float32)
    )
    option_row = store.option_offsets[at] + 1
    np.testing.assert_allclose(
        table.frame["llm_hidden"][row], store.arrays["llm_hidden"][option_row].astype(np.float32).ravel()
    )


def test_store_of_other_questions_is_refused(examples, store):
    other = Example(id="new", question="?", options=("a", "b"), answer=0, split=None, group="new")
    with pytest.raises(ValueError, match="lacks 1 of 2 questions, the first is new"):
        option_table([examples[0], other], store=store)
    longer = replace(examples[0], options=(*examples[0].options, "one more"))
    with pytest.raises(ValueError, match="options"):
        option_table([longer], store=store)


def test_families_of_the_held_out_table_are_removed(examples):
    held_out = option_table([e for e in examples if e.group in ("family1", "family2")])
    kept = without_families(option_table(examples), held_out)
    assert not set(kept.families) & set(held_out.families)
    assert kept.n_questions == sum(e.group not in ("family1", "family2") for e in examples)
    assert np.array_equal(np.unique(kept.questions), np.arange(kept.n_questions))
    assert kept.frame.index.tolist() == list(range(len(kept.y)))


def test_a_question_is_kept_whole(examples):
    table = option_table(examples)
    keep = np.ones(len(table.y), dtype=bool)
    keep[0] = False
    with pytest.raises(ValueError, match="whole"):
        table.take(keep)


def test_numbers_of_the_source_become_embeddings():
    one = Example(
        id="a",
        question="?",
        options=("x", "y"),
        answer=0,
        split=None,
        group="a",
        extra={"image_vector": [1.0, 2.0], "option_vectors": [[1.0, 0.0], [0.0, 1.0]], "note": "text"},
    )
    frame = option_table([one]).frame
    assert frame["embeddings:image_vector"][1].tolist() == [1.0, 2.0]
    assert frame["embeddings:option_vectors"][1].tolist() == [0.0, 1.0]
    assert not any("note" in column for column in frame)
