"""An image from wherever a user has it: a file, a web address, a data address, memory [edge].

Web addresses are fetched with the standard library: the HTTP client that comes with huggingface_hub has
changed its name from version to version. Left out: anything but http and https, so that an address can
never name a file of this machine.
"""

import base64
import binascii
import io
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import unquote_to_bytes
from urllib.request import HTTPRedirectHandler, Request, build_opener

from PIL import Image

from llava_core.data.images import read_image, to_rgb
from llava_core.errors import InputError

ImageSource = str | Path | Image.Image
"""A path, an address beginning with http://, https:// or data:, or a PIL image."""

TIMEOUT_S = 20.0
"""For the whole of a download, seconds."""
MAX_BYTES = 64 * 2**20
"""Size of a downloaded image file, bytes."""

_CHUNK_BYTES = 2**16
_SHOWN = 80


def open_image(source: ImageSource) -> Image.Image:
    """Return an image as RGB, upright; transparency is laid on white.

    Parameters
    ----------
    source : str, Path or PIL image
        A path, an address beginning with ``http://``, ``https://`` or ``data:``, or an image in memory.

    Returns
    -------
    PIL image

    Raises
    ------
    InputError
        If there is no such file, the address does not answer with a file in `TIMEOUT_S` seconds and
        `MAX_BYTES` bytes, or the file is not an image that Pillow can decode.
    """
    if isinstance(source, Image.Image):
        return to_rgb(source)
    if isinstance(source, Path):
        return read_image(source)
    scheme = source.partition(":")[0].lower()
    if scheme == "data":
        content = _decode(source)
    elif scheme in ("http", "https"):
        content = _fetch(source)
    elif "://" in source:
        raise InputError(
            f"got the image address {_short(source)!r}, allowed are http://, https://, data: and paths"
        )
    else:
        return read_image(Path(source).expanduser())
    try:
        return read_image(io.BytesIO(content))
    except InputError as error:
        raise InputError(f"{_short(source)}: {error.problem}") from None


def _decode(address: str) -> bytes:
    head, comma, body = address.partition(",")
    if not comma:
        raise InputError(f"got a data address without a comma: {_short(address)!r}")
    content = unquote_to_bytes(body.encode("utf-8", "replace"))
    if not head.lower().endswith(";base64"):
        return content
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise InputError(f"got a data address that is not base64 ({error}): {_short(address)!r}") from None


def _fetch(address: str) -> bytes:
    """Return what an address answers with; the limits hold for the whole download."""
    until = time.monotonic() + TIMEOUT_S
    content = bytearray()
    try:
        request = Request(address, headers={"User-Agent": "llava-ensembles"})
        with build_opener(_WebOnly).open(request, timeout=TIMEOUT_S) as answer:
            while chunk := answer.read1(_CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise InputError(
                        f"got more than {MAX_BYTES >> 20} MiB, allowed is less: {_short(address)}"
                    )
                if time.monotonic() > until:
                    raise TimeoutError
    except InputError:
        raise
    except HTTPError as error:
        error.close()
        raise InputError(f"got HTTP status {error.code} from {_short(address)}") from None
    except TimeoutError:
        raise InputError(f"no image within {TIMEOUT_S:g} s from {_short(address)}") from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            reason = f"no answer within {TIMEOUT_S:g} s"
        raise InputError(f"cannot be fetched ({reason}): {_short(address)}") from None
    return bytes(content)


class _WebOnly(HTTPRedirectHandler):
    """Follow redirects to http and https alone (the standard library's would go on to ftp)."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ):
        if not newurl.lower().startswith(("http://", "https://")):
            fp.close()
            raise InputError(f"got a redirect to {_short(newurl)}, allowed are http:// and https://")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _short(address: str) -> str:
    return address if len(address) <= _SHOWN else f"{address[: _SHOWN - 3]}..."
