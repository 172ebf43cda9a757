"""A concept taken out of image tokens: what the language model reads, and what its answers lose."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from llava_core.checkpoint import connect, save_checkpoint
from llava_core.data.example import Example
from llava_core.data.images import load_pixels
from llava_core.errors import InputError
from llava_core.inference.asking import ask
from llava_core.inference.logprob import option_logprobs
from llava_core.model.projector import PROJECTORS, build_projector
from llava_core.train.pretrain import TinySizes, tiny_bundle, tiny_tokenizer
from studies.erased import laid_over, score_erased, token_moments
from studies.pipeline import Checkpoints
from studies.probing import Eraser, fit_leace_moments, random_eraser_moments
from studies.progress import Silent
from studies.rundir import RunDir
from studies.spec.base import resolve
from studies.spec.ensemble import EnsembleSpec

COLOURS = ("red", "blue")
SIZES = TinySizes(
    vocab_size=300,
    image_size=32,
    dim_vision=16,
    n_vision_layers=3,
    vision_mlp=32,
    dim_text=16,
    n_text_layers=1,
    text_mlp=32,
    dim_llm=24,
    n_llm_layers=1,
    llm_mlp=32,
    n_heads=2,
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """60 questions about the colour of grainy images; 36 are red."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    made = []
    for index in range(60):
        colour = COLOURS[index % 5 > 2]
        grain = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
        grain[..., 0 if colour == "red" else 2] += 100
        Image.fromarray(grain).save(folder / f"{index}.png")
        options = tuple(rng.permutation(COLOURS).tolist())
        made.append(
            Example(
                id=f"q{index}",
                question="Which colour is it, red or blue?",
                options=options,
                answer=options.index(colour),
                split="test",
                group=f"g{index}",
                image=folder / f"{index}.png",
                has_image=True,
                caption=f"It is {colour}.",
            )
        )
    return made


@pytest.fixture(scope="module")
def labels(examples):
    return {example.id: example.options[example.answer] for example in examples}


@pytest.fixture
def bundle(examples):
    return tiny_bundle(SIZES, tiny_tokenizer(examples, [], vocab_size=300), seed=0)


def plant_colour(bundle, examples, labels):
    """Make a model by hand that says the colour which one direction of its image tokens holds.

    The projector brings the tower's best linear guess at the colour into direction ``seen``: 1.2 for red,
    -0.8 for blue. The one layer of the language model looks at all tokens alike and writes how much of
    ``seen`` there is into direction ``said``, in which only the words of the two colours differ.
    """
    model = bundle.model
    layer, embeddings = model.llm.model.layers[0], model.llm.model.embed_tokens.weight
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(24, 24, generator=generator))[0]
    seen, said = axes[0], axes[1]

    def others(weight):
        return weight - (weight @ seen)[:, None] * seen - (weight @ said)[:, None] * said

    with torch.no_grad():
        features = model.vision_features(
            load_pixels([example.image for example in examples], bundle.image_processor)
        )
        is_red = torch.tensor([labels[example.id] == "red" for example in examples])
        means = torch.stack([features[is_red].mean((0, 1)), features[~is_red].mean((0, 1))])
        within = torch.cat([features[is_red] - means[0], features[~is_red] - means[1]]).flatten(0, 1)
        guess = torch.linalg.solve(within.T @ within / len(within), means[0] - means[1])
        guess *= 2 / (guess @ (means[0] - means[1]))
        linear = model.projector.linear_1
        rest = others(0.3 * torch.randn(16, 24, generator=generator)).T
        linear.weight.copy_(rest + seen[:, None] * guess)
        linear.bias.copy_(-linear.weight @ means.mean(0) + 0.2 * seen)

        embeddings.copy_(others(embeddings))
        red, blue = ask(bundle, replace(examples[0], options=COLOURS)).option_ids
        assert (len(red), len(blue)) == (2, 2)  # a word and the stop token
        embeddings[red[0]] += said
        embeddings[blue[0]] = embeddings[red[0]] - 2 * said
        for part in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.mlp.down_proj):
            part.weight.zero_()
        layer.self_attn.v_proj.weight.zero_()
        layer.self_attn.v_proj.weight[0] = 30 * seen
        layer.self_attn.o_proj.weight.zero_()
        layer.self_attn.o_proj.weight[:, 0] = said


def accuracy(scores, examples):
    right = {example.id: example.answer for example in examples}
    best = scores.loc[scores.groupby("example_id")["mean_logprob"].idxmax()]
    return float((best["option_index"] == best["example_id"].map(right)).mean())


@pytest.fixture
def scored(bundle, examples, labels, tmp_path):
    """Return a function that scores questions with the colour erased, in one run."""
    plant_colour(bundle, examples, labels)
    folder = save_checkpoint(bundle, tmp_path / "finetune", stage="finetune", seen_ids=[])
    run, spec = RunDir(path=tmp_path / "run"), resolve(EnsembleSpec, "s", settings=["llava_device=cpu"])

    def score(**changes):
        return score_erased(
            spec,
            run,
            Checkpoints(paths={"finetune": folder}, hashes={"finetune": "h"}),
            **{
                "examples": examples,
                "concept": "main colour",
                "fit_on": examples,
                "labels": labels,
                "fingerprint": "f",
                "progress": Silent(),
                **changes,
            },
        )

    return score


def test_answers_that_rest_on_a_concept_are_lost_with_it(scored, bundle, examples, labels):
    """All right as it is and without a random direction; without the colour, one answer for all."""
    scores = scored()
    assert scores.columns.tolist() == ["variant", "example_id", "option_index", "mean_logprob"]
    variants = dict(tuple(scores.groupby("variant")))
    assert {name: len(rows) for name, rows in variants.items()} == {
        "whole": 120,
        "erased": 120,
        "random": 120,
    }
    whole = np.concatenate([found.mean for found in option_logprobs(bundle, examples)])
    np.testing.assert_allclose(variants["whole"]["mean_logprob"], whole, atol=1e-5)
    assert accuracy(variants["whole"], examples) == 1
    assert accuracy(variants["random"], examples) > 0.9
    assert accuracy(variants["erased"], examples) == pytest.approx(36 / 60)  # "red" is right of 36
    texts = {example.id: example.options for example in examples}
    best = variants["erased"].loc[variants["erased"].groupby("example_id")["mean_logprob"].idxmax()]
    assert {texts[row.example_id][row.option_index] for row in best.itertuples()} == {"red"}
    assert not np.allclose(variants["random"]["mean_logprob"], whole, atol=1e-3)


def test_another_concept_leaves_the_answers_alone(scored, examples):
    """A label that has nothing to do with the colour."""
    labels = {example.id: f"{index // 5 % 2}" for index, example in enumerate(examples)}
    scores = scored(labels=labels, concept="turn")
    assert accuracy(scores[scores["variant"] == "erased"], examples) > 0.9


def test_scores_are_kept_until_an_input_changes(scored, examples, labels, monkeypatch):
    first = scored()
    loaded = []

    def refuse(*_args, **_settings):
        loaded.append(1)
        raise InputError("no checkpoint any more")

    monkeypatch.setattr("llava_core.checkpoint.load_checkpoint", refuse)
    assert scored().equals(first)
    assert loaded == []
    turned = {id_: COLOURS[word == "red"] for id_, word in labels.items()}
    for changes in ({"labels": turned}, {"fit_on": examples[:40]}, {"examples": examples[:3]}):
        with pytest.raises(InputError, match="no checkpoint any more"):
            scored(**changes)
    assert len(loaded) == 3


def test_what_cannot_be_erased(scored, examples, labels):
    with pytest.raises(InputError, match="field main colour: got red for all 60 training images"):
        scored(labels=dict.fromkeys(labels, "red"))
    with pytest.raises(ValueError, match="got no label of 59 training questions, first q1"):
        scored(labels={"q0": "red"})
    with pytest.raises(ValueError, match="got 1 questions without image, first q2"):
        scored(examples=[*examples[:2], replace(examples[2], image=None)])


def test_no_linear_probe_finds_the_concept_in_the_tokens(bundle, examples, labels):
    """The theorem, on the tokens that the eraser was fitted on and on their mean over each image."""
    plant_colour(bundle, examples, labels)
    told = [labels[example.id] for example in examples]
    ticks = []
    moments = token_moments(bundle, examples, told, tick=lambda *tick: ticks.append(tick))
    assert ticks == [(32, 60), (60, 60)]
    assert moments.n_rows == 60 * bundle.n_image_tokens
    pixels = load_pixels([example.image for example in examples], bundle.image_processor)
    eraser = fit_leace_moments(moments)
    assert eraser.rank == 1
    found = {}
    with torch.no_grad():
        features = bundle.model.vision_features(pixels)
        for name, each in (
            ("whole", None),
            ("erased", eraser),
            ("random", random_eraser_moments(moments, rank=1, seed=0)),
        ):
            with laid_over(bundle.model.projector, each):
                found[name] = bundle.model.project(features).mean(1).numpy()
        np.testing.assert_array_equal(bundle.model.project(features).mean(1).numpy(), found["whole"])
    shares = {name: LogisticRegression().fit(rows, told).predict_proba(rows) for name, rows in found.items()}
    np.testing.assert_allclose(shares["erased"], [[0.4, 0.6]] * 60, atol=1e-3)  # blue, red
    for name in ("whole", "random"):
        is_red = shares[name][:, 1] > 0.5
        assert np.mean(is_red == (np.array(told) == "red")) > 0.9


@pytest.mark.parametrize("kind", PROJECTORS)
def test_every_kind_of_projector_gives_erased_tokens_for_a_while(kind):
    rng = np.random.default_rng(0)
    eraser = Eraser(mean=rng.normal(size=16), back=rng.normal(size=(16, 2)), onto=rng.normal(size=(2, 16)))
    projector = build_projector(kind, 16, 16, n_llm_layers=2).eval()
    features = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = projector(features)
        with laid_over(projector, eraser):
            erased = projector(features)
        after = projector(features)
    expected = eraser.apply(before.numpy().reshape(-1, 16)).reshape(before.shape)
    np.testing.assert_allclose(erased.numpy(), expected, atol=1e-4)
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["linear", "query", "gated_cross_attention"])
def test_nothing_of_the_image_goes_past_the_eraser(bundle, examples, kind):
    """With all that varies erased, one image is like another; of rank 0 nothing changes at all."""
    if kind != "linear":
        bundle = connect(bundle, kind, seed=1)
    with torch.no_grad():
        for name, weight in bundle.model.projector.named_parameters():
            if name.endswith("gate"):
                weight.fill_(0.7)
            elif weight.dim() == 2:
                weight.mul_(4)
    asked = [replace(examples[0], image=examples[row].image) for row in (0, 3, 9)]
    moments = token_moments(bundle, asked, ["a", "b", "c"], tick=lambda done, total: None)
    every = Eraser(mean=moments.mean, back=np.eye(24), onto=np.eye(24))

    def scores(eraser):
        with laid_over(bundle.model.projector, eraser):
            return np.stack([found.mean for found in option_logprobs(bundle, asked)])

    whole, blind = scores(None), scores(every)
    assert np.ptp(whole, axis=0).max() > 1e-3
    np.testing.assert_allclose(blind, np.broadcast_to(blind[0], blind.shape), atol=1e-5)
    np.testing.assert_array_equal(scores(random_eraser_moments(moments, rank=0, seed=0)), whole)
