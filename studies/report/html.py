"""Summary to one self-contained page: ``render_html`` is pure, ``write_report`` [edge] touches the disk.

The page holds its styles, figures and pictures and asks nothing of any other address. Its one script sorts
tables; without scripts they are plain tables.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from studies.files import write_text
from studies.report import anatomy, complementarity, confidence, cost, details, evidence, leaderboard
from studies.report.format import FILTERS
from studies.report.markdown import render_markdown
from studies.report.names import labels
from studies.report.tables import Row, as_csv, flat_tables

MARKDOWN_FILE = "report.md"
TABLES_FOLDER = "tables"
THUMBNAIL_PIXELS = 160
"""Longest side of a picture in the page."""


def render_html(summary: Mapping[str, Any], *, thumbnails: Mapping[str, str] | None = None) -> str:
    """Report of a study as one HTML page.

    Parameters
    ----------
    summary : Mapping
        Content of ``summary.json``. ``title``, ``verdict`` and ``methods`` are needed; parts that are null,
        empty or absent are left out.
    thumbnails : Mapping of str to str, optional
        Example id to ``data:`` URI of its picture.

    Returns
    -------
    str
        The same for the same input, byte by byte.
    """
    parts = {
        "title": summary["title"],
        "study": summary.get("study"),
        "reference": leaderboard.methods(summary)["reference_label"],
        "verdict": leaderboard.verdict(summary),
        "ladder": leaderboard.ladder(summary),
        "methods": leaderboard.methods(summary),
        "comparisons": leaderboard.comparisons(summary.get("comparisons"), labels(summary)),
        "families_removed": leaderboard.families_removed(summary),
        "costs": cost.costs(summary),
        "complementarity": complementarity.complementarity(summary),
        "anatomy": anatomy.anatomy(summary),
        "calibration": confidence.calibration(summary),
        "risk_coverage": confidence.risk_coverage(summary),
        "positions": confidence.positions(summary),
        "curves": details.curves(summary),
        "slices": details.slices(summary),
        "llava": details.llava(summary),
        "ablation": details.ablation(summary),
        "tuning": details.tuning(summary),
        "audit": evidence.audit(summary),
        "data": evidence.data(summary),
        "published": evidence.published(summary),
        "llm_pair": summary.get("llm_pair"),
        "examples": evidence.examples(summary, thumbnails or {}),
        "provenance": evidence.provenance(summary),
    }
    return template_environment().get_template("report.html").render(parts)


def write_report(summary: Mapping[str, Any], out: Path, *, image_root: Path | None = None) -> Path:
    """Write the report of a study.

    Parameters
    ----------
    summary : Mapping
        Content of ``summary.json``.
    out : Path
        File to write, replaced as a whole.
    image_root : Path, optional
        Folder that relative image paths of the examples start from. The page says so where a picture cannot
        be read.

    Returns
    -------
    Path
        ``out``.
    """
    found = summary.get("examples") or {}
    thumbnails = {}
    shown = [
        example for side in ("won", "lost") for example in (found.get(side) or ())[: evidence.MOST_EXAMPLES]
    ]
    for example in shown:
        if example.get("image_path"):
            path = Path(example["image_path"])
            uri = thumbnail_uri(image_root / path if image_root else path)
            if uri:
                thumbnails[example["example_id"]] = uri
    return write_page(render_html(summary, thumbnails=thumbnails), out)


def write_texts(summary: Mapping[str, Any], folder: Path) -> None:
    """Write the report as ``report.md`` and ``tables/*.csv``."""
    write_page(render_markdown(summary), folder / MARKDOWN_FILE)
    write_tables(flat_tables(summary), folder / TABLES_FOLDER)


def write_tables(tables: Mapping[str, Sequence[Row]], folder: Path) -> None:
    """Write each table as CSV under its name; tables of an earlier rendering do not stay."""
    for stale in folder.glob("*.csv"):
        if stale.stem not in tables:
            stale.unlink()
    for name, rows in tables.items():
        write_page(as_csv(rows), folder / f"{name}.csv")


def write_page(page: str, out: Path) -> Path:
    """Write a page through a temporary sibling, so that a reader never sees half of it."""
    return write_text(out, page)


def template_environment() -> Environment:
    """Templates of the package: everything escaped, an unknown name is an error, filters do the rounding."""
    environment = Environment(
        loader=PackageLoader("studies.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


def thumbnail_uri(path: Path) -> str | None:
    """Small copy of a picture as a ``data:`` URI, the shorter of PNG and JPEG; None if it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            # Transparent diagrams are drawn for white paper.
            paper = Image.new("RGBA", picture.size, "white")
            small = Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    encoded = []
    for mime, keywords in (("png", {"optimize": True}), ("jpeg", {"quality": 82, "optimize": True})):
        buffer = io.BytesIO()
        small.save(buffer, format=mime, **keywords)
        encoded.append(f"data:image/{mime};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}")
    return min(encoded, key=len)
