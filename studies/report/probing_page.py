"""The report of `embedding_probe`: one page, the same as Markdown and as tables, from its summary [edge].

Compute, summary, template: nothing is calculated here but places in figures.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studies.report import evidence, probing_controls, probing_grid, probing_items, probing_space
from studies.report.html import (
    MARKDOWN_FILE,
    TABLES_FOLDER,
    template_environment,
    thumbnail_uri,
    write_page,
    write_tables,
)
from studies.report.leaderboard import View
from studies.report.markdown import write_markdown
from studies.report.probing_tables import TITLES, names, probing_tables

MOST_PICTURE_BYTES = 400_000
"""Of all pictures in the page; those of the hardest items come first."""


def render_probing(summary: Mapping[str, Any], *, thumbnails: Mapping[str, str] | None = None) -> str:
    """Return the page; the same for the same input, byte by byte.

    Parameters
    ----------
    summary : mapping
        Content of ``summary.json``; of the parts after ``cells``, those that are null, empty or absent are
        left out.
    thumbnails : mapping, optional
        Example id to ``data:`` URI of its picture.
    """
    unit = summary["data"].get("unit", "questions")
    parts = {
        "title": summary["title"],
        "verdict": {"details": [], **summary["verdict"]},
        "data": {"dropped": [], **summary["data"]},
        "unit": unit,
        "unit_bare": unit.removesuffix("s"),
        "unit_one": f"a {unit.removesuffix('s')}",
        "stages": _stages(summary),
        "probes": summary["probes"],
        "overview": probing_grid.overview(summary),
        "targets": [
            {
                **target,
                "controls": probing_controls.controls(summary, target["name"]),
                "curves": probing_controls.curves(summary, target),
            }
            for target in probing_grid.targets(summary)
        ],
        "comparisons": probing_controls.comparisons(summary),
        "hard": probing_items.hard_items(summary, thumbnails or {}),
        "erasure": probing_space.erasure(summary),
        "answers_erased": probing_space.answers_erased(summary),
        "similarity": probing_space.similarity(summary),
        "dimensions": probing_space.dimensions(summary),
        "gap": probing_space.modality_gap(summary),
        "audit": evidence.audit(summary),
        "provenance": evidence.provenance(summary),
        "markdown_file": MARKDOWN_FILE,
        "tables_folder": TABLES_FOLDER,
    }
    return template_environment().get_template("probing.html").render(parts)


def write_probing_report(summary: Mapping[str, Any], out: Path) -> Path:
    """Write the page, and beside it ``report.md`` and ``tables/*.csv``; return the page's path.

    Parameters
    ----------
    summary : mapping
        Content of ``summary.json``.
    out : Path
        File to write, replaced as a whole. Relative paths of pictures start from its folder; the page says so
        where one is not shown.
    """
    tables = probing_tables(summary)
    pictures = probing_items.pictured(summary)
    n_cards = Counter(example_id for example_id, _ in pictures)
    thumbnails, n_bytes = {}, 0
    for example_id, place in dict(pictures).items():
        uri = thumbnail_uri(out.parent / place)
        if uri and n_bytes + len(uri) * n_cards[example_id] <= MOST_PICTURE_BYTES:
            thumbnails[example_id] = uri
            n_bytes += len(uri) * n_cards[example_id]
    write_page(write_markdown(summary, tables, TITLES, names(summary)), out.with_name(MARKDOWN_FILE))
    write_tables(tables, out.with_name(TABLES_FOLDER))
    return write_page(render_probing(summary, thumbnails=thumbnails), out)


def _stages(summary: Mapping[str, Any]) -> list[View]:
    label_of = {stage["name"]: stage["label"] for stage in summary["stages"]}
    return [
        {**stage, "against": label_of.get(stage["compared_with"], stage["compared_with"])}
        for stage in probing_grid.numbered(summary["stages"])
    ]
