"""Images from files, addresses and memory, against what was drawn; and what is refused."""

import base64
import contextlib
import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from llava_core.errors import InputError
from llava_core.inference import image_source
from llava_core.inference.image_source import open_image


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def site(png):
    """A local web server with one good image and several bad answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = {
                "/good.png": (200, {}, png),
                "/moved": (302, {"Location": "/good.png"}, b""),
                "/away": (302, {"Location": "ftp://127.0.0.1/x.png"}, b""),
                "/page": (200, {}, b"<html>no image</html>"),
                "/big": (200, {}, bytes(3000)),
                "/drip": (200, {}, b"drip"),
            }.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # the reader may have had enough
                for _ in range(30 if body == b"drip" else 0):
                    self.wfile.write(b".")
                    time.sleep(0.02)
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def same(image, picture):
    return image.mode == "RGB" and np.array_equal(np.asarray(image), np.asarray(picture))


def test_one_picture_from_everywhere(picture, png, site, tmp_path) -> None:
    path = tmp_path / "with space.png"
    path.write_bytes(png)
    data = base64.b64encode(png).decode()
    for source in (
        picture,
        path,
        str(path),
        f"{site}/good.png",
        f"{site}/moved",
        f"data:image/png;base64,{data}",
        f"data:image/png;base64,{quote(data)}",
        f"data:image/png,{quote(png)}",
    ):
        assert same(open_image(source), picture), source


def test_transparency_lies_on_white(picture) -> None:
    clear = picture.convert("RGBA")
    clear.putalpha(0)
    assert same(open_image(clear), Image.new("RGB", picture.size, "white"))


def test_photographs_are_turned_upright(picture, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    picture.save(tmp_path / "photo.png", exif=exif)
    assert same(open_image(tmp_path / "photo.png"), picture.rotate(-90, expand=True))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("/lost.png", "got HTTP status 404 from http://127.0.0.1"),
        ("/page", "/page: got a file that cannot be read as an image"),
        ("/big", "got more than 0 MiB, allowed is less"),
        ("/drip", "no image within 0.2 s from"),
        ("/away", "got a redirect to ftp://127.0.0.1/x.png, allowed are http:// and https://"),
    ],
)
def test_bad_answers_are_told(site, address, told, monkeypatch) -> None:
    monkeypatch.setattr(image_source, "MAX_BYTES", 2000)
    monkeypatch.setattr(image_source, "TIMEOUT_S", 0.2)
    with pytest.raises(InputError) as caught:
        open_image(site + address)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nowhere.png", "nowhere.png: no such image file"),
        ("file:///etc/hostname", "allowed are http://, https://, data: and paths"),
        ("data:image/png;base64,@@@@", "not base64"),
        ("data:image/png;base64", "without a comma"),
        ("data:image/png;base64,AAAA", "cannot be read as an image"),
        ("http://127.0.0.1:1/a.png", "cannot be fetched"),
        ("http://", "cannot be fetched"),
    ],
)
def test_bad_sources_are_told(source, told) -> None:
    with pytest.raises(InputError) as caught:
        open_image(source)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
