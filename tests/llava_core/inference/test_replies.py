"""Replies in two passes against full passes one token at a time, and options scored behind the reasons."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from llava_core.checkpoint import load_checkpoint, save_checkpoint
from llava_core.cli import app
from llava_core.data import prompts
from llava_core.data.conversation import Turn, encode
from llava_core.data.images import load_pixels
from llava_core.data.prompts import PROMPTS, TwoPass, find_prompt, prompted_turns
from llava_core.errors import InputError
from llava_core.features.extract import extract_features
from llava_core.features.store import FeatureStore
from llava_core.inference.asking import question_turns
from llava_core.inference.generate import n_context_tokens
from llava_core.inference.logprob import option_logprobs
from llava_core.inference.parse import parse_reply
from llava_core.inference.replies import begin_replies, finish_replies, generate_answers, own_decoding

LEPA = PROMPTS["QCM-LEPA"]


@pytest.fixture
def bundle(lively_bundle):
    # The questions are longer than the tiny model's span.
    lively_bundle.model.llm.config.max_position_embeddings = 512
    return replace(lively_bundle, prompt="QCM-LEPA")


@pytest.fixture
def questions(drawn):
    return [*drawn[:4], *drawn[-2:]]


def slow_text(bundle, example, n_tokens, *, begun=None):
    """Return what the model writes, greedily, behind the question and the words that have begun."""
    turns = question_turns(bundle, example)
    template = bundle.template
    if begun is not None:
        turns = [*turns, Turn(role="assistant", text=begun)]
        template = replace(template, answer_suffix="", stop_token=False, closing="")
    ids = list(encode(turns, bundle.tokenizer, template, bundle.n_image_tokens).input_ids)
    features = None
    if example.image is not None:
        features = bundle.model.vision_features(load_pixels([example.image], bundle.image_processor))
    written = []
    for _ in range(n_tokens):
        row = torch.tensor([ids + written])
        with torch.no_grad():
            token = int(bundle.model(row, vision_features=features).logits[0, -1].argmax())
        if token == bundle.tokenizer.eos_token_id:
            break
        written.append(token)
    return bundle.tokenizer.decode(written, skip_special_tokens=True)


def with_stop(monkeypatch, stop: str) -> None:
    changed = replace(LEPA, two_pass=TwoPass(stop=stop), n_answer_tokens=5)
    monkeypatch.setitem(prompts.PROMPTS, "QCM-LEPA", changed)


def test_both_passes_are_those_of_full_passes_one_by_one(bundle, questions, monkeypatch) -> None:
    free = [slow_text(bundle, example, 8) for example in questions]
    stop = free[0].strip()[3:5]  # something that a model of random weights does write
    with_stop(monkeypatch, stop)
    decoding = own_decoding(PROMPTS["QCM-LEPA"], max_new_tokens=8, temperature=0)
    begun = begin_replies(bundle, questions, decoding, batch_size=4)
    reasons = [text.split(stop)[0].strip() for text in free]
    assert begun == [text + " ###\nANSWER:" for text in reasons]
    assert reasons[0] != free[0].strip()
    texts = finish_replies(bundle, questions, begun, decoding, batch_size=4)
    for example, reason, text in zip(questions, reasons, texts, strict=True):
        said = slow_text(bundle, example, 5, begun=reason + " ###\nANSWER:").split(stop)[0].strip()
        assert text == f"{reason}\n The answer is {said}"
    assert finish_replies(bundle, questions, begun, decoding, batch_size=1) == texts


def test_a_reply_is_parsed_by_the_rule_of_the_announced_answer(drawn) -> None:
    glue = LEPA.two_pass.glue
    assert parse_reply(f"LECTURE: So.{glue}B.", ("x", "y"), prompt="QCM-LEPA") == 1
    assert parse_reply(f"LECTURE: So.{glue}E.", ("x", "y"), prompt="QCM-LEPA") == -1


def test_reasons_are_drawn_as_published_and_do_not_depend_on_the_batch(
    bundle, questions, monkeypatch
) -> None:
    decoding = own_decoding(LEPA)
    assert (decoding.max_new_tokens, decoding.temperature) == (1024, 0.7)
    assert (LEPA.n_answer_tokens, LEPA.two_pass.stop) == (64, "###")
    short = own_decoding(LEPA, max_new_tokens=6)
    together = begin_replies(bundle, questions, short, batch_size=6)
    assert together == begin_replies(bundle, questions, short, batch_size=1)
    assert together != begin_replies(bundle, questions, replace(short, seed=1), batch_size=6)
    with_stop(monkeypatch, "###")
    whole = finish_replies(bundle, questions, together, short)
    assert whole == finish_replies(bundle, questions, together, short, batch_size=1)


def test_reasons_leave_room_for_the_answer(bundle, questions) -> None:
    """A model that never comes to an end still gets to its answer."""
    bundle.model.llm.config.max_position_embeddings = 200
    decoding = own_decoding(LEPA, temperature=0)
    assert decoding.max_new_tokens > n_context_tokens(bundle)
    begun = begin_replies(bundle, questions[:2], decoding)
    assert all("The answer is" in text for text in finish_replies(bundle, questions[:2], begun, decoding))


def test_one_pass_begins_with_nothing(bundle, questions) -> None:
    plain = replace(bundle, prompt="option_texts")
    decoding = own_decoding(PROMPTS["option_texts"], max_new_tokens=6)
    begun = begin_replies(plain, questions, decoding)
    assert begun == [""] * len(questions)
    assert finish_replies(plain, questions, begun, decoding) == generate_answers(
        plain, questions, max_new_tokens=6
    )


def test_options_are_scored_behind_the_reasons(bundle, questions) -> None:
    """Against the difference of two full passes: reasons with the answer, less reasons with the cue."""
    begun = ["LECTURE: Look at it. ###\nANSWER:", *["SOLUTION: It is. ###\nANSWER:"] * 5]
    found = option_logprobs(bundle, questions, begun=begun)
    for example, words, scores in zip(questions, begun, found, strict=True):
        features = None
        if example.image is not None:
            features = bundle.model.vision_features(load_pixels([example.image], bundle.image_processor))
        for k, option in enumerate(LEPA.scored(example)):
            asked = question_turns(bundle, example)
            whole = encode(
                [*asked, Turn(role="assistant", text=words + option)],
                bundle.tokenizer,
                bundle.template,
                bundle.n_image_tokens,
            )
            ids = torch.tensor([whole.input_ids])
            with torch.no_grad():
                logprob = bundle.model(ids, vision_features=features).logits[0].log_softmax(-1)
            n = int(scores.n_tokens[k])
            last = [float(logprob[j - 1, ids[0, j]]) for j in range(ids.shape[1] - n, ids.shape[1])]
            tail = bundle.tokenizer.decode(whole.input_ids[-n:], skip_special_tokens=True)
            assert tail.strip() == option.strip()
            np.testing.assert_allclose(scores.sum[k], sum(last), atol=1e-4)


def test_features_hold_what_the_two_passes_give(bundle, questions, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(
        prompts.PROMPTS, "QCM-LEPA", replace(LEPA, two_pass=TwoPass(n_reason_tokens=6), n_answer_tokens=4)
    )
    folder = save_checkpoint(bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    saved = load_checkpoint(folder)
    out = extract_features({"finetune": folder}, questions, tmp_path / "store", data_fingerprint="x")
    decoding = own_decoding(PROMPTS["QCM-LEPA"])
    begun = begin_replies(saved, questions, decoding)
    scores = np.concatenate([score.sum for score in option_logprobs(saved, questions, begun=begun)])
    np.testing.assert_allclose(FeatureStore.open(out).block("option_logprob")[:, 0], scores, atol=1e-4)
    texts = finish_replies(saved, questions, begun, decoding)
    named = [parse_reply(t, e.options, prompt="QCM-LEPA") for t, e in zip(texts, questions, strict=True)]
    assert json.loads((out / "manifest.json").read_text())["n_unparsed"] == named.count(-1)


def run(folder, data, *words):
    given = ["answer", "--checkpoint", str(folder), "--data", str(data), "--device", "cpu", *words]
    return CliRunner().invoke(app, given)


def test_the_command_answers_in_two_passes_and_takes_other_prompts(
    bundle, questions, tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(prompts.PROMPTS, "QCM-LEPA", replace(LEPA, n_answer_tokens=4))
    folder = save_checkpoint(bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    data = tmp_path / "q.jsonl"
    rows = [
        {"id": e.id, "question": e.question, "options": list(e.options), "hint": e.hint} for e in questions
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run(folder, data, "--max-new-tokens", "6")
    assert result.exit_code == 0, result.output
    told = [json.loads(line) for line in result.stdout.splitlines()]
    shown = [replace(e, image=None, has_image=False) for e in questions]
    saved = load_checkpoint(folder)
    decoding = own_decoding(LEPA, max_new_tokens=6)
    begun = begin_replies(saved, shown, decoding)
    assert [row["text"] for row in told] == finish_replies(saved, shown, begun, decoding)
    assert {row["prompt"] for row in told} == {"QCM-LEPA"}
    expected = [s.mean.argmax() for s in option_logprobs(saved, shown, begun=begun)]
    assert [row["chosen"] for row in told] == expected

    other = run(folder, data, "--max-new-tokens", "6", "--prompt", "CQM-A", "--limit", "2")
    lines = [json.loads(line) for line in other.stdout.splitlines()]
    assert {line["prompt"] for line in lines} == {"CQM-A"}
    plain = replace(saved, prompt="CQM-A")
    assert [line["text"] for line in lines] == generate_answers(plain, shown[:2], max_new_tokens=6)
    refused = run(folder, data, "--prompt", "QCM")
    assert isinstance(refused.exception, InputError)
    assert "field prompt: got 'QCM', allowed are option_texts, CQM-A" in str(refused.exception)


def test_a_prompt_can_be_named_on_loading_and_is_otherwise_the_checkpoints_own(bundle, tmp_path) -> None:
    folder = save_checkpoint(bundle, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    assert load_checkpoint(folder).prompt == "QCM-LEPA"
    assert load_checkpoint(folder, prompt="QCM-LEA").prompt == "QCM-LEA"
    with pytest.raises(InputError, match="field prompt"):
        load_checkpoint(folder, prompt="LEA")


def test_trained_words_go_on_where_the_cue_ends(drawn) -> None:
    """But for the space or line break before the hashes, which the published cue has otherwise."""
    example = replace(drawn[0], lecture="So it is.", solution="Look.")
    _, answer = prompted_turns(example, find_prompt("QCM-LEPA"), answered=True)
    reasons, cue, letter = answer.text.partition("###\nANSWER:")
    assert (reasons, cue) == ("LECTURE: So it is.\nSOLUTION: Look.\n", LEPA.two_pass.cue.strip())
    assert letter in LEPA.scored(example)


def test_answers_to_a_data_set_are_gone_on_with(bundle, questions, tmp_path) -> None:
    plain = replace(bundle, prompt="CQM-A")
    folder = save_checkpoint(plain, tmp_path / "checkpoint", stage="finetune", seen_ids=[])
    data = tmp_path / "q.jsonl"
    rows = [{"id": f"q{k}", "question": f"Is {k} even?", "options": ["yes", "no"]} for k in range(20)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("--max-new-tokens", "3", "--batch-size", "1")
    whole = run(folder, data, *words).stdout.splitlines()
    assert [json.loads(line)["id"] for line in whole] == [row["id"] for row in rows]
    out = tmp_path / "a.jsonl"
    out.write_text("\n".join(whole[:7]) + "\n" + whole[7][:30])  # killed in the midst of a line
    result = run(folder, data, *words, "--out", str(out))
    assert "13 answered, 7 were there already" in result.stderr
    assert out.read_text().splitlines() == whole
    refused = run(folder, data, *words, "--out", str(out), "--prompt", "QCM-A")
    assert "got an answer to another question of id 'q0'" in str(refused.exception)
