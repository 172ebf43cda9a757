from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from ensembles.registry import MEMBERS
from studies.design import DesignEncoder, option_table
from studies.design.encoder import available_blocks

from .conftest import ArrayStore, make_examples


@pytest.fixture
def table(examples, store, answers):
    return option_table(examples, store=store, answers=answers)


def encode(table, **settings):
    encoder = DesignEncoder(**settings)
    return encoder, encoder.fit_transform(table.frame, table.y, groups=table.groups)


def test_every_block_is_there_and_named(table):
    encoder, matrix = encode(table)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(table.y), encoder.n_features_out_)
    assert encoder.transform(table.frame).shape == matrix.shape
    assert set(encoder.feature_blocks_) == set(table.blocks)
    names = encoder.get_feature_names_out()
    assert len(set(names)) == len(names) == len(encoder.feature_blocks_) <= 400


def test_blocks_are_selected(table):
    whole, matrix = encode(table)
    part, chosen = encode(table, blocks=("overlap", "clip_similarity"))
    assert set(part.feature_blocks_) == {"overlap", "clip_similarity"}
    np.testing.assert_array_equal(chosen, matrix[:, whole.columns_of(["overlap", "clip_similarity"])])


def test_missing_image_is_nan_beside_has_image(table):
    encoder, matrix = encode(table)
    without = table.frame["has_image"].to_numpy() == 0
    for block in ("clip_image", "projector", "clip_similarity"):
        columns = encoder.columns_of([block])
        assert np.isnan(matrix[np.ix_(without, columns)]).all()
        assert np.isfinite(matrix[np.ix_(~without, columns)]).all()
    flag = encoder.get_feature_names_out().tolist().index("structure:has_image")
    np.testing.assert_array_equal(matrix[:, flag], ~without)


def test_permuting_options_permutes_the_features(examples):
    rng = np.random.default_rng(3)
    orders = [rng.permutation(len(e.options)) for e in examples]
    turned = [
        replace(
            e, options=tuple(e.options[i] for i in order), answer=int(np.flatnonzero(order == e.answer)[0])
        )
        for e, order in zip(examples, orders, strict=True)
    ]
    store, other = ArrayStore(examples), ArrayStore(examples)
    offset = store.option_offsets
    rows = np.concatenate([at + order for at, order in zip(offset, orders, strict=True)])
    for name in ("clip_text", "llm_hidden", "option_logprob"):
        other.arrays[name] = store.arrays[name][rows]
    before, after = option_table(examples, store=store), option_table(turned, store=other)
    encoder, first = encode(before)
    # Signs of SVD and PCA directions do not depend on row order, their last digits do.
    _, second = encode(after)
    np.testing.assert_allclose(first[rows], second, atol=2e-3)
    np.testing.assert_allclose(
        encoder.transform(before.frame)[rows], encoder.transform(after.frame), atol=1e-5
    )


def test_same_input_gives_same_bytes(table):
    np.testing.assert_array_equal(encode(table)[1], encode(table)[1])
    clone(DesignEncoder(topics=3)).fit(table.frame, table.y, groups=table.groups)


def test_text_never_seen_is_encoded(table, examples):
    encoder, _ = encode(table, blocks=("structure", "question_text", "option_text", "overlap", "text_memory"))
    strange = replace(examples[0], question="\u00bfQu\u00e9?", options=("", "\u6c34"), caption="!!!", ocr="")
    features = encoder.transform(option_table([strange]).frame)
    assert features.shape == (2, encoder.n_features_out_)
    assert not np.isinf(features).any()


def test_shuffled_labels_stay_at_chance_out_of_fold():
    examples = make_examples(1200, n_families=60, seed=5)
    table = option_table(examples)
    fold = table.groups % 4
    score = np.zeros(len(table.y))
    for k in range(4):
        fit, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        encoder = DesignEncoder(blocks=("structure", "overlap", "text_memory"))
        matrix = encoder.fit_transform(table.frame.iloc[fit], table.y[fit], groups=table.groups[fit])
        model = LogisticRegression(max_iter=500).fit(np.nan_to_num(matrix), table.y[fit])
        score[held] = model.predict_proba(np.nan_to_num(encoder.transform(table.frame.iloc[held])))[:, 1]
    best = np.array([score[table.questions == q].argmax() for q in range(table.n_questions)])
    right = np.array([e.answer for e in examples])
    chance = np.mean([1 / len(e.options) for e in examples])
    assert abs(np.mean(best == right) - chance) < 0.045


def test_caller_columns_come_with_their_relative_forms(examples):
    table = option_table(examples).with_columns("models", {"p": np.arange(len(option_table(examples).y))})
    encoder, matrix = encode(table, blocks=("models",))
    assert encoder.get_feature_names_out().tolist() == ["models:p", "models:p_relative", "models:p_margin"]
    first = matrix[table.questions == 0]
    np.testing.assert_allclose(first[:, 1], first[:, 0] - first[:, 0].mean())
    assert available_blocks(table.frame)[-1] == "models"


def test_votes_count_parsed_answers_only(table):
    encoder, matrix = encode(table, blocks=("llm_answer",))
    names = encoder.get_feature_names_out().tolist()
    votes = matrix[:, names.index("llm_answer:votes")]
    expected = np.nan_to_num(table.frame["chosen:first"]) + np.nan_to_num(table.frame["chosen:second"])
    np.testing.assert_array_equal(votes, expected)


def test_text_length_of_options_is_no_feature(table):
    encoder, _ = encode(table, blocks=("option_logprob",))
    assert not any("logprob_2" in name for name in encoder.get_feature_names_out())


def test_bad_requests_say_what_is_allowed(examples, table):
    plain = option_table(examples)
    with pytest.raises(ValueError, match="projector"):
        encode(plain, blocks=("projector",))
    with pytest.raises(ValueError, match="question_text"):
        encode(plain, blocks=("smell",))
    unlabelled = option_table([replace(e, answer=None) for e in examples])
    with pytest.raises(ValueError, match="0 and 1"):
        encode(unlabelled)


def test_fitted_encoder_survives_a_safe_file(table):
    import skops.io

    encoder, _ = encode(table)
    data = skops.io.dumps(encoder)
    types = skops.io.get_untrusted_types(data=data)
    assert all(name.startswith(("studies.design.", "scipy.sparse.")) for name in types)
    again = skops.io.loads(data, trusted=types)
    np.testing.assert_array_equal(again.transform(table.frame), encoder.transform(table.frame))


def test_named_columns_come_out_as_a_frame_and_go_into_members(table):
    encoder = DesignEncoder().set_output(transform="pandas")
    frame = encoder.fit_transform(table.frame, table.y, groups=table.groups)
    assert frame.columns.tolist() == encoder.get_feature_names_out().tolist()
    assert encoder.transform(table.frame).columns.equals(frame.columns)
    member = MEMBERS["linear"].make({}, seed=0, n_jobs=1).fit(frame, table.y, groups=table.groups)
    assert member.feature_names_in_.tolist() == frame.columns.tolist()
