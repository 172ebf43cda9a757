"""Nothing is pickled, and nothing that was read is run, outside a list with reasons."""

from pathlib import Path

import pytest

from tests.architecture.unsafe_code import unsafe_code

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("llava_core", "ensembles", "studies", "benchmarks", "examples", "docs", "tests")
ALLOWED = {
    ("llava_core/checkpoint/original.py", "torch.load"): "imports checkpoints of others, weights only",
    ("tests/fuzz/mutators.py", "import pickle"): "makes arrays that must be refused",
    ("tests/fuzz/read_models.py", "torch.save"): "makes weights as others have them",
    ("tests/llava_core/checkpoint/conftest.py", "torch.save"): "makes a checkpoint as others have it",
    ("tests/llava_core/checkpoint/test_layouts.py", "torch.save"): "makes checkpoints as others have them",
    ("tests/llava_core/checkpoint/test_layouts.py", "torch.load"): "reads back what it has just written",
    ("tests/llava_core/data/test_llava_json.py", "import pickle"): "in memory: what travels to a worker",
    ("tests/llava_core/train/test_spread.py", "import pickle"): "hands examples to its own processes",
    ("tests/llava_core/train/spread_worker.py", "import pickle"): "reads examples of its own test",
    ("tests/studies/design/test_encoder.py", "skops.io.loads"): "reads back what it has just written",
}
"""File and what stands there, to why it may."""
ARRAYS = ("numpy.save", "numpy.savez")
"""Tests write arrays of numbers as users do."""


def found_in_source() -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for place in unsafe_code(file.read_text(encoding="utf-8")):
                if folder == "tests" and place.what in ARRAYS:
                    continue
                found.setdefault((str(file.relative_to(ROOT)), place.what), []).append(place.line)
    return found


def test_the_source_pickles_nothing_and_runs_nothing_it_read() -> None:
    found = found_in_source()
    assert {place: lines for place, lines in found.items() if place not in ALLOWED} == {}
    assert set(ALLOWED) - set(found) == set(), "allowed, but not there any more"


def test_torch_load_is_told_to_read_weights_only() -> None:
    text = (ROOT / "llava_core/checkpoint/original.py").read_text(encoding="utf-8")
    assert text.count("torch.load(") == text.count("weights_only=True") == 1


def test_skops_is_opened_in_one_module_which_names_what_it_trusts() -> None:
    opened = [
        str(file.relative_to(ROOT))
        for folder in FOLDERS[:3]
        for file in (ROOT / folder).rglob("*.py")
        if "skops" in file.read_text(encoding="utf-8")
    ]
    assert opened == ["ensembles/persist.py"]


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ("import pickle", "import pickle"),
        ("from pickle import loads", "import pickle"),
        ("def f():\n    import dill as d", "import dill"),
        ("import joblib\njoblib.dump(1, 'a')", "joblib.dump"),
        ("from joblib import load as fetch\nfetch('a')", "joblib.load"),
        ("import torch as t\nt.save({}, 'a')", "torch.save"),
        ("import torch\nread = torch.load", "torch.load"),
        ("import torch\ntorch.load('a', weights_only=False)", "weights_only="),
        ("import torch\ntorch.load('a', weights_only=flag)", "weights_only="),
        ("import torch\ntorch.hub.load('a', 'b')", "torch.hub.load"),
        ("import numpy as np\nnp.load('a', allow_pickle=True)", "numpy.load"),
        ("import numpy as np\nnp.load('a', allow_pickle=flag)", "numpy.load"),
        ("import numpy as np\nnp.save('a', x)", "numpy.save"),
        ("from numpy import savez\nsavez('a', x=x)", "numpy.savez"),
        ("import pandas as pd\npd.read_pickle('a')", "pandas.read_pickle"),
        ("frame.to_pickle('a')", "to_pickle"),
        ("import yaml\nyaml.load(text)", "yaml.load"),
        ("import skops.io\nskops.io.load('a', trusted=types)", "skops.io.load"),
        ("eval(text)", "eval"),
        ("exec(text)", "exec"),
        ("list(map(eval, texts))", "eval"),
        ("import os\nos.system('ls')", "os.system"),
        ("import subprocess\nsubprocess.run('ls', shell=True)", "shell="),
        ("from subprocess import Popen as start\nstart('ls', shell=flag)", "shell="),
        ("tar.extractall('a')", "extractall"),
        ("kind.from_pretrained('a', trust_remote_code=True)", "trust_remote_code="),
    ],
)
def test_what_is_planted_is_found(planted: str, what: str) -> None:
    assert what in [place.what for place in unsafe_code(planted)]


@pytest.mark.parametrize(
    "harmless",
    [
        "model.eval()",
        "import numpy as np\nnp.load('a')\nnp.load('a', allow_pickle=False)",
        "import numpy as np\nnp.save('a', x, allow_pickle=False)",
        "import re\nre.compile('a')",
        "import json\njson.load(file)",
        "import ast\nast.literal_eval(text)",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
    ],
)
def test_what_is_harmless_is_not(harmless: str) -> None:
    assert unsafe_code(harmless) == []
