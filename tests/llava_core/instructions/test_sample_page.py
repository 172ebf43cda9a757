"""The page of samples: escaped, self-contained, small."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llava_core.instructions import sample_page
from llava_core.instructions.kinds import KINDS
from llava_core.instructions.records import record
from llava_core.instructions.replies import Pair
from llava_core.instructions.sample_page import picture_uri, write_page
from llava_core.instructions.scene import Instance, Scene
from llava_core.instructions.write import KindResult, Results, Sample, SetAside

EVIL = "<script>alert(1)</script></style></title>\"'><img src=x onerror=alert(2)>"


def results(images: list[str], words: str = "plain") -> tuple[dict[str, object], Results]:
    kinds = {name: KindResult() for name in KINDS}
    samples = []
    for image in images:
        box = Instance(category=words, box=(0.1, 0.1, 0.5, 0.5))
        scene = Scene(id=words, image=image, captions=(words,), instances=(box,))
        for name, kind in KINDS.items():
            made = record(kind, scene, [Pair(question=words, answer=words)], questions=(), seed=0)
            kinds[name].counts["read"] += 1
            kinds[name].statistics.add(made)
            samples.append(Sample(kind=name, scene=scene, record=made))
    kinds["detail"].reasons[words] += 1
    aside = SetAside(kind="detail", scene=samples[0].scene, problem=words, texts=(words,))
    summary = {
        "backend": words,
        "n_scenes": len(images),
        "kinds": {name: kind.told() for name, kind in kinds.items()},
    }
    return summary, Results(kinds=kinds, samples=tuple(samples), set_aside=(aside,))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "link", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def test_everything_from_data_is_escaped(tmp_path: Path) -> None:
    summary, found = results([EVIL], EVIL)
    write_page(tmp_path / "p.html", summary, found, images=None)
    page = (tmp_path / "p.html").read_text()
    tags = parsed(page)
    assert not tags.tags & {"script", "img"}
    assert page.count("&lt;script&gt;alert(1)") >= 12


def test_pictures_are_small_copies_within_the_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        pixels = rng.integers(0, 255, (700, 900, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "broken.jpg").write_text("no picture")
    summary, found = results(["a.png", "b.jpg", "broken.jpg", "missing.jpg"])
    write_page(tmp_path / "p.html", summary, found, images=tmp_path)
    page = (tmp_path / "p.html").read_text()
    tags = parsed(page)
    pictures = [address for address in tags.addresses if address.startswith("data:image/jpeg;base64,")]
    assert len(pictures) == 6
    assert len(set(pictures)) == 2
    outside = [address for address in tags.addresses if not re.match(r"data:|#", address)]
    assert outside == []
    assert "url(" not in page
    assert "@import" not in page


def test_pictures_never_make_the_page_larger_than_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (900, 700), "red").save(tmp_path / "a.png")
    uri = picture_uri(tmp_path / "a.png")
    assert uri is not None
    monkeypatch.setattr(sample_page, "PICTURES_BYTES", 4 * len(uri))
    summary, found = results(["a.png", "./a.png"])
    write_page(tmp_path / "p.html", summary, found, images=tmp_path)
    page = (tmp_path / "p.html").read_text()
    assert page.count(uri) == 3


def test_pictures_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (tmp_path / "images").mkdir()
    summary, found = results(["../secret.png", str(tmp_path / "secret.png")])
    write_page(tmp_path / "p.html", summary, found, images=tmp_path / "images")
    assert "data:image" not in (tmp_path / "p.html").read_text()
