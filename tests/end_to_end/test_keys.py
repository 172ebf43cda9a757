"""Keys and passwords reach no file, no line and no error: canary values through whole commands.

The same run has an audit hook, which sees every global that is looked up while something is unpickled: none
is.
"""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from llava_core.backends.chat import Message, Request
from llava_core.backends.openai_api import OpenAIBackend
from llava_core.errors import InputError, told_in_one_line
from llava_core.keys import VARIABLES
from studies.cli import app
from tests.chat_server import Fault

CANARY = "canary4711"
WATCHED = """
import sys
unpickled = []

def watch(event, args):
    if event != "pickle.find_class":
        return
    frame = sys._getframe()
    while frame is not None:
        # XGBoost imports dask where it is, which hashes functions by their pickles, in memory.
        if frame.f_code.co_filename.endswith("dask/tokenize.py"):
            return
        frame = frame.f_back
    unpickled.append(args)

sys.addaudithook(watch)
from studies.cli import main
try:
    main()
finally:
    print("unpickled:", unpickled, file=sys.stderr)
"""
KNOWN = {
    ".csv", ".html", ".journal", ".json", ".lock", ".md", ".npy", ".npz", ".parquet", ".skops", ".jsonl",
}  # fmt: skip
PICKLED_FROM = b"\x80"
"""First byte of a pickle of protocol 2 and above."""


def parts(file: Path) -> Iterator[bytes]:
    """Yield what a file holds, compressed parts of known kinds unpacked."""
    whole = file.read_bytes()
    yield whole
    if file.suffix in (".npz", ".skops"):
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield archive.read(name)
    elif file.suffix == ".parquet":
        yield pd.read_parquet(file).to_csv().encode()


def files_with(folder: Path, text: str) -> list[str]:
    return [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and any(text.encode() in part for part in parts(file))
    ]


@pytest.fixture(scope="module")
def data(questions: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Questions with parts, and answers to those of test that abstain on every other one."""
    folder = tmp_path_factory.mktemp("keys")
    rows = [
        {**json.loads(line), "split": ("train", "test")[i // 2 % 2]}
        for i, line in enumerate(questions.read_text().splitlines()[:120])
    ]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = {row["id"]: "The answer is A." for row in rows if row["split"] == "test"}
    (folder / "llava.json").write_text(json.dumps({"outputs": said}))
    return folder / "questions.jsonl", folder / "llava.json"


def test_a_whole_run_tells_no_key_and_unpickles_nothing(
    data: tuple[Path, Path], chat_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, f"{CANARY}-{name}")
    server = chat_server(lambda messages: "The answer is B.")
    monkeypatch.setenv("OPENAI_API_KEY", f"{CANARY}-OPENAI_API_KEY")
    questions, answers = data
    out = tmp_path / "run"
    done = subprocess.run(
        [
            sys.executable, "-c", WATCHED, "run", "ensemble_vs_llm", "--preset", "quick", "--trials", "1",
            "--data", str(questions), "--llm-answers", str(answers), "--set", "llm_pair=asked,llava",
            "--set", "llm_model=gpt-4", "--set", f"llm_endpoint={server.url}", "--set", "curve_trees=",
            "--set", "curve_xgbs=", "--set", "ablation=false", "--set", "families_removed=false",
            "--limit", "40", "--out", str(out),
        ],
        capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(server.keys) == {f"Bearer {CANARY}-OPENAI_API_KEY"}
    assert CANARY not in done.stdout + done.stderr
    assert files_with(out, CANARY) == []
    assert {"predictions.parquet", "report.html"} <= set(files_with(out, "asked"))
    assert "unpickled: []" in done.stderr
    summary = json.loads((out / "summary.json").read_text())["provenance"]
    assert summary["reproducible"] is False
    assert summary["not_reproducible"] == ["a language model behind an endpoint was asked"]


def test_the_audit_hook_would_see_a_pickle() -> None:
    probe = WATCHED.replace(
        "    main()", "    import pickle, pathlib; pickle.loads(pickle.dumps(pathlib.PurePosixPath('a')))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "('pathlib', 'Pure" in done.stderr


def test_a_run_holds_known_kinds_of_files_and_no_pickle(finished: tuple[Path, str, str]) -> None:
    files = [file for file in finished[0].rglob("*") if file.is_file()]
    assert {file.suffix or file.name for file in files} <= KNOWN | {"done"}
    for file in files:
        for part in parts(file):
            assert not part.startswith(PICKLED_FROM), file
        if file.suffix == ".npy":
            assert np.load(file, mmap_mode="r", allow_pickle=False).dtype != object
        if file.suffix == ".skops":
            with zipfile.ZipFile(file) as archive:
                assert {Path(name).suffix for name in archive.namelist()} <= {
                    ".json",
                    ".npy",
                    ".npz",
                    ".bin",
                    ".txt",
                    ".ubj",
                }, file


def refused(*arguments: object) -> str:
    """Run a command in this process that ends with one line; return the line."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == 2, done.output
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert CANARY not in done.output
    return line


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (f"storage=postgresql://me:{CANARY}@127.0.0.1:1/db", "field storage: got a URL with a password"),
        (f"storage=postgresql://me:a/{CANARY}@b@127.0.0.1:1/db", "field storage: got a URL with a password"),
        (f"storage=postgresql://127.0.0.1:1/db?password={CANARY}", "got a URL with a password"),
        (f"llm_endpoint=http://me:{CANARY}@127.0.0.1:1/v1", "field llm_endpoint: got a user or key"),
        (f"llm_endpoint=http://{CANARY}@127.0.0.1:1/v1", "field llm_endpoint: got a user or key"),
        (f"llm_endpoint=http://127.0.0.1:1/v1?api-key={CANARY}", "field llm_endpoint: got a user or key"),
        (f"dask=tcp://me:{CANARY}@127.0.0.1:1", "field dask: got a user or password"),
    ],
)
def test_a_secret_in_a_setting_is_refused_before_anything_is_written(
    questions: Path, tmp_path: Path, setting: str, told: str
) -> None:
    out = tmp_path / "run"
    line = refused("run", "ensemble_vs_llm", "--data", questions, "--set", setting, "--out", out)
    assert told in line
    assert not out.exists()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{CANARY}@127.0.0.1:1/db",
        f"postgresql://127.0.0.1:1/db?password={CANARY}",
        f"nosuch://me:{CANARY}@host/db",
        f"postgresql+nosuch://me:{CANARY}@host/db",
        f"mysql://me:{CANARY}@host/db",
    ],
)
@pytest.mark.parametrize("verb", ["optuna", "tune-worker"])
def test_a_database_that_cannot_be_reached_is_told_without_its_password(
    finished: tuple[Path, str, str], tmp_path: Path, url: str, verb: str
) -> None:
    if verb == "optuna":
        assert "127.0.0.1" in (line := refused(verb, url, "--out", tmp_path / "page.html")) or "host" in line
        assert list(tmp_path.iterdir()) == []
    else:
        run = tmp_path / "run"
        run.mkdir()
        spec = json.loads((finished[0] / "spec.json").read_text()) | {"storage": "journal"}
        (run / "spec.json").write_text(json.dumps(spec))
        assert "got a URL with a password" in refused(verb, run, "--storage", url)


def test_an_unreachable_database_without_password_is_told_whole(questions: Path, tmp_path: Path) -> None:
    storage = "storage=postgresql://me@127.0.0.1:1/db"
    line = refused("run", "ensemble_vs_llm", "--data", questions, "--set", storage, "--out", tmp_path / "run")
    assert "postgresql://me@127.0.0.1:1/db" in line
    assert not (tmp_path / "run" / "spec.json").exists()


def test_an_endpoint_that_repeats_the_key_does_not_bring_it_into_the_error(
    chat_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"{CANARY}-OPENAI_API_KEY"
    for status in (401, 418):
        body = json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}})
        server = chat_server(lambda messages, body=body, status=status: Fault(status=status, body=body))
        monkeypatch.setenv("OPENAI_API_KEY", key)
        backend = OpenAIBackend(model="m", endpoint=server.url, n_retries=0)
        request = Request(id="q0", messages=(Message(role="user", text="?"),), temperature=0.0, max_tokens=5)
        try:
            told = str(backend.reply([request])[0])
        except InputError as error:
            told = str(error)
        assert "Incorrect API key provided: ***" in told
        assert CANARY not in told + backend.name


def test_a_key_that_is_no_header_is_not_told(chat_server, monkeypatch: pytest.MonkeyPatch) -> None:
    server = chat_server(lambda messages: "never asked")
    monkeypatch.setenv("OPENAI_API_KEY", f"{CANARY}\nX: y")
    backend = OpenAIBackend(model="m", endpoint=server.url, n_retries=0)
    with pytest.raises(InputError) as told:
        backend.reply(
            [Request(id="q0", messages=(Message(role="user", text="?"),), temperature=0.0, max_tokens=5)]
        )
    assert CANARY not in (told_in_one_line(told.value) or "")
    assert server.requests == []


@pytest.mark.parametrize("address", [f"ftp://me:{CANARY}@host/v1", f"http://me:{CANARY}@host/v1"])
def test_an_address_from_the_environment_is_not_repeated(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    with pytest.raises(InputError) as told:
        OpenAIBackend(model="m")
    assert CANARY not in str(told.value)


def test_the_command_is_kept_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    from studies.cli.terminal import typed_command

    monkeypatch.setattr(sys, "argv", ["studies", "run", "a", "--set", f"b=x://me:{CANARY}@host/db"])
    assert typed_command() == "studies run a --set b=x://***@host/db"


def test_a_traceback_shows_no_local_values() -> None:
    from llava_core.cli.terminal import app as llava

    assert not app.pretty_exceptions_show_locals
    assert not llava.pretty_exceptions_show_locals
