"""The README's file tree and commands against the repository."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def tree_paths() -> list[str]:
    """Return the paths named in the README's file tree (its block that opens with llava_core/)."""
    block = next(
        block for block in re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL) if "llava_core/" in block
    )
    paths: list[str] = []
    parents: list[str] = []
    for line in block.splitlines():
        match = re.match(r"(\s*)([\w./-]+)", line)
        if match is None:
            continue
        depth = len(match[1]) // 2
        parents = [*parents[:depth], match[2].rstrip("/")]
        paths.append("/".join(parents))
    return paths


def test_every_path_of_the_tree_exists() -> None:
    paths = tree_paths()
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_two_commands_come_first() -> None:
    commands = re.findall(r"^(make \w+)", README, flags=re.MULTILINE)
    assert commands[:2] == ["make study", "make test"]


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
