from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from llava_core import memory
from llava_core.memory import announce, free_bytes


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root of control groups, on a machine with 9000 bytes free, of which this process holds 100 more."""
    root = tmp_path / "cgroup"
    root.mkdir()
    monkeypatch.setattr(memory, "GROUPS", root)
    monkeypatch.setattr(memory, "GROUPS_OF_SELF", tmp_path / "self")
    monkeypatch.setattr(memory, "held_bytes", lambda: 100.0)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=9000))
    return root


def test_without_limits_it_is_what_the_machine_has_free(groups: Path) -> None:
    assert free_bytes() == 9100
    groups.with_name("self").write_text("12:pids:/\n0::/nowhere\n")
    assert free_bytes() == 9100


def test_the_tightest_group_above_the_process_counts_without_its_caches(groups: Path) -> None:
    groups.with_name("self").write_text("0::/batch/job\n")
    group(
        groups / "batch", memory__max=5000, memory__current=4500, memory__stat="anon 4000\ninactive_file 200"
    )
    group(groups / "batch" / "job", memory__max="max", memory__current=100)
    assert free_bytes() == 100 + 700
    group(groups / "batch" / "job", memory__max=300, memory__current=500)
    assert free_bytes() == 100


def test_groups_of_version_1_and_a_container_that_shows_its_own_as_the_root(groups: Path) -> None:
    groups.with_name("self").write_text("9:name=systemd:/x\n4:cpu,memory:/docker/abc\n0::/\n")
    group(groups / "memory", memory__limit_in_bytes=8000, memory__usage_in_bytes=3000)
    group(groups / "memory", memory__stat="inactive_file 7\ntotal_inactive_file 1000")
    assert free_bytes() == 100 + 6000


def test_what_may_not_fit_is_told_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "held_bytes", lambda: 1e9)
    monkeypatch.setattr(memory, "free_bytes", lambda: 3e9)
    assert announce("it", 1.5e9) == "it needs at most 2.5 GB of memory; 3.0 GB are free"
    assert announce("it", 2.5e9) == "it needs at most 3.5 GB of memory; only 3.0 GB are free, it may run out"
