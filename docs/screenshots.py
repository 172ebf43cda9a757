"""Take the pictures of the README from the pages of a finished run.

``python docs/screenshots.py RUN`` writes ``docs/figures/report_*.png``. It needs the extra ``test`` and
Chromium.
"""

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image

FIGURES = Path(__file__).resolve().parent / "figures"
LARGEST_BYTES = 200_000
SHOTS = (
    ("report_verdict", 1180, "light", "#verdict", 900),
    ("report_anatomy", 1180, "dark", "#complementarity", 760),
)
"""File name, width, colours, section that stands at the top, height."""


def main() -> None:
    """Read the run's folder from the command line and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    page = parser.parse_args().run / "report.html"
    if not page.is_file():
        sys.exit(f"error: {page}: no such page; `studies report RUN` writes it")
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("error: Chromium is not on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, width, scheme, section, height in SHOTS:
            view = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            view.goto(page.resolve().as_uri())
            view.evaluate("(id) => document.querySelector(id).scrollIntoView({behavior: 'instant'})", section)
            (FIGURES / f"{name}.png").write_bytes(smallest(view.screenshot()))
            view.close()
        browser.close()


def smallest(png: bytes) -> bytes:
    """Return the picture in as many colours as 200 kB allow."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for n_colours in (256, 64, 16):
        found = io.BytesIO()
        picture.quantize(n_colours).save(found, "png", optimize=True)
        if found.tell() < LARGEST_BYTES:
            break
    return found.getvalue()


if __name__ == "__main__":
    main()
