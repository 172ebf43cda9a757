import dataclasses
import json
from unittest import mock

import pytest

from llava_core.checkpoint import checkpoint_hash, load_checkpoint, save_checkpoint
from llava_core.errors import InputError
from llava_core.recipes import RECIPES, Recipe, find_recipe, mini_cpu, pretrain_mini, train_llava
from llava_core.train.stage import StageConfig


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_freezes_the_tower_and_trains_what_the_paper_says(name):
    recipe = find_recipe(name)
    assert recipe.align.trains == ("projector",)
    assert set(recipe.finetune.trains) == {"projector", "llm"}
    assert (recipe.align.tasks, recipe.finetune.tasks) == ("captions", "questions")
    assert type(recipe.align) is type(recipe.finetune) is StageConfig


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(InputError, match="got recipe 'x', allowed are llava_v1_13b, llava_v1_5_13b"):
        find_recipe("x")


def test_both_stages_run_and_are_kept(bundle, drawn, tmp_path):
    base = save_checkpoint(bundle, tmp_path / "base", stage="pretrained", seen_ids=())
    short = mini_cpu()
    short = Recipe(
        align=dataclasses.replace(short.align, n_epochs=1),
        finetune=dataclasses.replace(short.finetune, n_epochs=1),
    )
    calls = []

    def train():
        calls.clear()
        return train_llava(
            drawn,
            tmp_path / "run",
            seed=0,
            recipe=short,
            base=base,
            n_threads=1,
            progress=lambda stage, done, total: calls.append((stage, done, total)),
        )

    paths = train()
    assert list(paths) == ["align", "finetune"]
    assert [stage for stage, _, _ in calls] == sorted(stage for stage, _, _ in calls)
    assert {(stage, done == total) for stage, done, total in calls} >= {("align", True), ("finetune", True)}
    hashes = {stage: checkpoint_hash(path) for stage, path in paths.items()}
    assert {stage: checkpoint_hash(path) for stage, path in train().items()} == hashes
    assert calls == []
    meta = load_checkpoint(paths["finetune"]).meta
    assert meta["stage"]["name"] == "finetune"
    assert meta["n_examples"] == len(drawn)
    assert meta["cpu_seconds"] > 0


def test_what_a_killed_pretraining_left_goes_and_the_card_comes_with_the_weights(
    bundle, tmp_path, monkeypatch
):
    from llava_core.data import mini, scienceqa
    from llava_core.train import pretrain

    out, scratch = tmp_path / "out", tmp_path / ".out.writing"
    (scratch / "pretrain" / "half").mkdir(parents=True)

    def train(*_, scratch, **__):
        assert [file.name for file in scratch.iterdir()] == ["pretrain"]
        return bundle

    def fail(folder):
        assert (folder / "manifest.json").is_file()
        raise RuntimeError

    monkeypatch.setattr(mini, "write_mini", lambda root, **_: root.mkdir())
    monkeypatch.setattr(mini, "pretrain_texts", lambda seed: [])
    monkeypatch.setattr(mini, "mini_fingerprint", lambda part, **_: "f")
    monkeypatch.setattr(mini, "texts_fingerprint", lambda seed: "f")
    monkeypatch.setattr(scienceqa, "load_scienceqa", lambda root: mock.Mock(examples=()))
    monkeypatch.setattr(pretrain, "pretrain", train)
    with monkeypatch.context() as failing:
        failing.setattr("llava_core.checkpoint.checkpoint_hash", fail)
        with pytest.raises(RuntimeError):
            pretrain_mini(out)
    assert list(tmp_path.iterdir()) == []
    pretrain_mini(out)
    assert list(tmp_path.iterdir()) == [out]
    assert not (out / "pretrain").exists()
    card = json.loads((out / "card.json").read_text())
    assert card["checkpoint_hash"] == checkpoint_hash(out)
    assert card["files"] == json.loads((out / "manifest.json").read_text())["files"]
    load_checkpoint(out)


def test_a_pretraining_of_few_steps_makes_a_checkpoint_with_curves(drawn, tiny_sizes, tmp_path):
    from llava_core.train.pretrain import PretrainConfig, pretrain

    full = PretrainConfig()
    config = dataclasses.replace(
        full,
        sizes=tiny_sizes,
        clip=dataclasses.replace(full.clip, n_steps=4, batch_size=8),
        llm=dataclasses.replace(full.llm, n_steps=4, batch_size=8),
    )
    bundle = pretrain(drawn, ["Plain words.", ("Two and two?", "four")], config, scratch=tmp_path, seed=0)
    path = save_checkpoint(bundle, tmp_path / "mini", stage="pretrained", seen_ids=())
    meta = json.loads((path / "training.json").read_text())
    assert meta["clip"]["n_steps"] == meta["llm"]["n_steps"] == 4
    assert len(meta["clip"]["loss"]) == len(meta["llm"]["loss"]) == 4
    assert load_checkpoint(path).seen_ids == frozenset()


def test_published_hyperparameters_are_those_of_the_scripts():
    """Rate, batch, epochs of each stage, from the reference repository's scripts and the papers' tables."""
    published = {
        "llava_v1_7b": ((2e-3, 128, 1), (2e-5, 32, 3)),
        "scienceqa_13b": ((2e-3, 128, 1), (2e-5, 32, 12)),
        "llava_v1_5_7b": ((1e-3, 256, 1), (2e-5, 128, 1)),
        "llava_v1_5_lora_7b": ((1e-3, 256, 1), (2e-4, 128, 1)),
    }
    for name, stages in published.items():
        recipe = find_recipe(name)
        for stage, numbers in zip((recipe.align, recipe.finetune), stages, strict=True):
            assert (stage.optim.lr, stage.batch_size, stage.n_epochs) == numbers
            assert (stage.optim.weight_decay, stage.optim.warmup_frac, stage.max_tokens) == (0.0, 0.03, 2048)
            assert stage.optim.betas == (0.9, 0.999)
        assert recipe.align.template == "plain"
        assert recipe.parts.projector == ("mlp2x_gelu" if "v1_5" in name else "linear")
        assert recipe.parts.pad_to_square == ("v1_5" in name)
        assert name.rsplit("_", 1)[1] in recipe.parts.llm
    lora = find_recipe("llava_v1_5_lora_7b").finetune
    assert (lora.lora.rank, lora.lora.alpha, lora.lora.dropout_frac) == (128, 256, 0.05)
    assert lora.optim.projector_lr == 2e-5
    assert find_recipe("scienceqa_7b").finetune.prompt == "QCM-LEA"
