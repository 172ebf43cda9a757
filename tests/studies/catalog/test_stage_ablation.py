"""Probes, summary and settings of `stage_ablation`, on made-up vectors and credits."""

import numpy as np
import pytest

from llava_core.errors import InputError
from studies.catalog.ablation_probes import PROBES, probe_chance, probe_credits, selectivity_questions
from studies.catalog.ablation_summary import build_summary
from studies.catalog.protocol import choose_protocol
from studies.catalog.stage_ablation import Found
from studies.report.ablation_page import render_ablation
from studies.spec.ablation import REFERENCE, VARIANTS, AblationSpec
from studies.spec.base import from_json, resolve, to_json

COLOURS = ("red", "green", "blue", "white")


def asked_questions(make_example, n):
    rng = np.random.default_rng(0)
    made = []
    for index in range(n):
        options = tuple(str(colour) for colour in rng.permutation(COLOURS)[:3])
        made.append(
            make_example(
                f"q{index}", options=options, answer=int(rng.integers(3)), skill=f"skill {index % 4}"
            )
        )
    return made


def vectors_of(asked, *, of_image, of_llm):
    """Vectors that hold the answer and the skill with so much weight, beside noise."""
    rng = np.random.default_rng(1)
    word = np.eye(4)[[COLOURS.index(e.options[e.answer]) for e in asked]]
    skill = np.eye(4)[[int(str(e.skill)[-1]) for e in asked]]
    image = np.hstack([of_image * word, of_image * skill]) + rng.normal(0, 0.1, (len(asked), 8))
    right = np.concatenate([np.arange(3) == e.answer for e in asked])
    hidden = np.hstack([of_llm * right[:, None], of_llm * np.repeat(skill, 3, axis=0)])
    return {"image_tokens": image, "llm_hidden": hidden + rng.normal(0, 0.1, hidden.shape)}


def test_probes_find_what_was_planted_and_nothing_in_noise(make_example):
    asked = asked_questions(make_example, 400)
    full = probe_credits(vectors_of(asked, of_image=1, of_llm=1), asked, n_train=300, seed=0)
    assert full.keys() == PROBES.keys()
    selected = selectivity_questions(asked[:300], seed=0)
    for read in full.values():
        assert {name: len(credit) for name, credit in read.items()} == {
            "credit": 100, "floor": 100, "real": len(selected), "control": len(selected)
        }  # fmt: skip
        assert read["credit"].mean() > 0.95
        assert read["real"].mean() - read["control"].mean() > 0.4
    empty = probe_credits(vectors_of(asked, of_image=0, of_llm=0), asked, n_train=300, seed=0)
    chance = probe_chance(asked, n_train=300)
    for name in PROBES:
        assert abs(float(empty[name]["credit"].mean()) - chance[name]) < 0.15
        assert full[name]["floor"].mean() < full[name]["credit"].mean() - 0.2
    half = probe_credits(vectors_of(asked, of_image=1, of_llm=0), asked, n_train=300, seed=0)
    assert float(half["answer_image"]["credit"].mean()) > 0.95
    assert float(half["answer_llm"]["credit"].mean()) < 0.5


def test_options_that_never_were_an_answer_share_what_is_left(make_example):
    asked = asked_questions(make_example, 60)
    asked += [make_example("new", options=("violet", "pink"), answer=1, skill="skill 0")]
    vectors = {
        "image_tokens": np.random.default_rng(0).normal(size=(61, 8)),
        "llm_hidden": np.random.default_rng(1).normal(size=(60 * 3 + 2, 5)),
    }
    found = probe_credits(vectors, asked, n_train=40, seed=0)
    assert found["answer_image"]["credit"][-1] == 0.5


def test_chance_is_the_commonest_skill_and_an_option_at_random(make_example):
    asked = [make_example(str(k), skill="a" if k % 3 else "b", options=("x", "y")) for k in range(9)]
    chance = probe_chance(asked, n_train=6)
    assert chance["skill_image"] == pytest.approx(2 / 3)
    assert chance["answer_llm"] == pytest.approx(0.5)


def summary_of(make_dataset, *, seeds=(0,), gain=0.0, n=60):
    spec = resolve(
        AblationSpec,
        "stage_ablation",
        settings=[f"seeds={','.join(map(str, seeds))}", "n_boot=200"],
    )
    dataset = make_dataset({"train_llm": 4, "train_ensemble": n, "test": n}, slice="main", has_image=True)
    protocol = choose_protocol(dataset, seed=0)
    rng = np.random.default_rng(0)
    stage = {"name": "align", "n_steps": 3, "seconds": 1.5, "loss": [[1, 2.0], [3, 1.0]]}
    found = {}
    for name in VARIANTS:
        share = 0.5 + (np.asarray(gain) if name == "no_stage_1" else 0)
        credit = (rng.random((n, len(seeds))) < share).astype(float)
        found[name] = Found(
            credit=credit,
            probes={
                probe: {
                    "credit": rng.random((n, len(seeds))),
                    "floor": rng.random((n, len(seeds))),
                    "real": rng.random((round(0.3 * n), len(seeds))),
                    "control": rng.random((round(0.3 * n), len(seeds))),
                }
                for probe in PROBES
            },
            training=[{"stages": [stage], "n_connection": 10, "n_image_tokens": 4} for _ in seeds],
        )
    return build_summary(
        spec,
        dataset,
        protocol,
        found,
        checks=[{"name": "families", "status": "pass", "found": 0, "detail": ""}],
        chance=dict.fromkeys(PROBES, 0.25),
        provenance={"command": "studies run stage_ablation", "seed": 0, "seconds": 1.0},
    ), found


def test_every_number_is_paired_with_the_reference(make_dataset):
    summary, found = summary_of(make_dataset, seeds=(0, 1, 2))
    rows = {row["name"]: row for row in summary["variants"]}
    base = found[REFERENCE].credit.mean()
    assert rows[REFERENCE]["difference"] is None
    for name, row in rows.items():
        assert row["accuracy"]["value"] == pytest.approx(found[name].credit.mean())
        assert [each["accuracy"] for each in row["by_seed"]] == pytest.approx(found[name].credit.mean(0))
        if name != REFERENCE:
            assert row["difference"]["value"] == pytest.approx(found[name].credit.mean() - base)
            assert row["difference"]["low"] <= row["difference"]["value"] <= row["difference"]["high"]
    assert {row["a"] for row in summary["comparisons"]} == set(VARIANTS) - {REFERENCE}
    assert rows["no_stage_1"]["paper"] == -0.0511
    assert rows["last_layer"]["paper"] == -0.0096
    assert all(row["p_holm"] >= row["mcnemar_p"] for row in summary["comparisons"])


def test_seed_variation_is_told_with_two_seeds_or_more(make_dataset):
    one, _ = summary_of(make_dataset)
    assert {row["variation"] for row in one["variants"]} == {None}
    assert "One seed" in one["verdict"]["details"][-1]
    three, _ = summary_of(make_dataset, seeds=(0, 1, 2))
    for row in three["variants"]:
        told = row["variation"]
        assert told["of_mean"] >= max(0, told["of_mean_by_question"])
        assert told["of_mean_by_question"] > 0
        mean = (row["difference"] or row["accuracy"])["value"]
        assert (told["low"] + told["high"]) / 2 == pytest.approx(mean)
        assert told["high"] - mean >= 1.9 * told["of_mean"]
    moved = [row["variation"]["of_mean_by_seed"] for row in three["variants"] if row["name"] != REFERENCE]
    told = f"by {100 * min(moved):.1f} to {100 * max(moved):.1f} points (standard deviation)."
    assert three["verdict"]["details"][-2].startswith("3 seeds: ")
    assert three["verdict"]["details"][-1].endswith(told)


def test_the_verdict_says_what_is_clear_and_what_is_not(make_dataset):
    clear, _ = summary_of(make_dataset, gain=0.45, n=300)
    assert "Without stage 1: +" in clear["verdict"]["sentence"]
    assert "not told apart" not in clear["verdict"]["sentence"].split(";")[0]
    assert "the paper -5.11" in clear["verdict"]["sentence"]
    same, _ = summary_of(make_dataset)
    assert "not told apart from none, the paper -0.96" in same["verdict"]["sentence"]


def test_a_change_that_another_seed_turns_around_is_not_told_apart(make_dataset):
    same_each_time, _ = summary_of(make_dataset, seeds=(0, 1, 2), gain=0.45, n=300)
    assert "not told apart" not in same_each_time["verdict"]["sentence"].split(";")[0]
    moved, _ = summary_of(make_dataset, seeds=(0, 1, 2), gain=(0.45, 0.1, -0.1), n=300)
    row = next(row for row in moved["variants"] if row["name"] == "no_stage_1")
    assert row["difference"]["low"] > 0 > row["variation"]["low"]
    assert "not told apart" in moved["verdict"]["sentence"].split(";")[0]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_page_shows_every_variant_and_asks_nobody(make_dataset, seeds):
    summary, _ = summary_of(make_dataset, seeds=seeds)
    page = render_ablation(summary)
    assert page.index(summary["verdict"]["sentence"].split("(")[0][:20]) < page.index('id="variants"')
    for row in summary["variants"]:
        assert page.lower().count(row["label"].lower().replace("&", "&amp;")) >= 4
    assert "http" not in page.replace("http-equiv", "")
    assert ("Seed 1" in page) == (len(seeds) > 1)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("seeds=0,0", "different seeds"),
        ("seeds=", "got none"),
        ("variants=mlp", "allowed are both and any of"),
        ("variants=both,lstm", "got both, lstm"),
        ("budget_frac=0", "above 0 to 1"),
        ("budget_frac=1.5", "above 0 to 1"),
    ],
)
def test_settings_out_of_range_are_refused(setting, told):
    with pytest.raises(InputError, match=told):
        resolve(AblationSpec, "stage_ablation", settings=[setting])


def test_a_finished_llava_is_refused(tmp_path):
    with pytest.raises(InputError, match="which this study trains itself"):
        resolve(AblationSpec, "stage_ablation", llava=str(tmp_path))


def test_the_spec_comes_back_from_its_text(tmp_path):
    spec = resolve(AblationSpec, "stage_ablation", settings=["seeds=0,1", "variants=both,query"])
    assert from_json(AblationSpec, to_json(spec), path=tmp_path) == spec
