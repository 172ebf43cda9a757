from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from llava_core.errors import InputError
from llava_core.recipes import find_recipe
from llava_core.settings import setting_names, with_settings


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str = "a"
    kind: Literal["x", "y"] = "x"
    on: bool = False
    sizes: tuple[int, ...] = ()
    folder: Path | None = None
    inner: Inner = field(default_factory=Inner)
    extra: Inner | None = None

    def __post_init__(self):
        if self.name == "bad":
            raise ValueError("got name 'bad', allowed is another")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("name=b c", Outer(name="b c")),
        ("kind=y", Outer(kind="y")),
        ("on=TRUE", Outer(on=True)),
        ("sizes=1, 2,3", Outer(sizes=(1, 2, 3))),
        ("folder=a/b", Outer(folder=Path("a/b"))),
        ("folder=none", Outer()),
        ("inner.rate=1e-3", Outer(inner=Inner(rate=0.001))),
        ("inner.steps=7", Outer(inner=Inner(steps=7))),
        ("extra.rate=2", Outer(extra=Inner(rate=2.0))),
    ],
)
def test_a_text_becomes_the_type_of_its_field(setting, expected):
    assert with_settings(Outer(), [setting]) == expected


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("other=1", r"field --set: got 'other=1', allowed is field=value with a field of name, kind"),
        ("name", r"got 'name', allowed is field=value"),
        ("inner=1", r"got 'inner=1', allowed is field=value"),
        ("kind=z", r"field kind: got 'z', allowed is x, y"),
        ("on=1", r"field on: got '1', allowed is true or false"),
        ("sizes=1,x", r"field sizes: got '1,x', allowed is a comma-separated list, each a whole number"),
        ("inner.steps=1.5", r"field inner\.steps: got '1\.5', allowed is a whole number or none"),
        ("name=bad", r"field name: got name 'bad', allowed is another"),
    ],
)
def test_what_does_not_fit_is_named(setting, message):
    with pytest.raises(InputError, match=message):
        with_settings(Outer(), [setting])


def test_later_settings_win_and_stages_can_be_set():
    plan = find_recipe("llava_v1_7b").plan("finetune")
    names = setting_names(type(plan))
    assert {"stage.batch_size", "stage.optim.lr", "stage.lora.rank", "run.precision", "run.trackers"} <= set(
        names
    )
    changed = with_settings(
        plan,
        ["stage.lora.rank=8", "stage.optim.lr=1e-4", "stage.optim.lr=2e-4", "run.trackers=tensorboard,wandb"],
    )
    assert (changed.stage.lora.rank, changed.stage.optim.lr) == (8, 2e-4)
    assert changed.run.trackers == ("tensorboard", "wandb")
    with pytest.raises(InputError, match=r"field stage\.batch_size: got n_epochs=3, batch_size=0"):
        with_settings(plan, ["stage.batch_size=0"])
