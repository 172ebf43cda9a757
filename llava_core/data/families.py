"""Families: questions that must stay on one side of every split.

Two questions belong together if they share the normalised question text or the image; a family is a
connected component of that relation. Metadata such as skill or topic never enters, since it is missing for
most real rows.
"""

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

STEM_CHARS = 60
"""Length of the normalised question text that is compared."""

_PUNCTUATION = re.compile(r"[^\w\s]|_")


def question_stem(question: str) -> str:
    """Return the question in lower case, without punctuation, with single spaces, cut to 60 characters.

    Examples
    --------
    >>> question_stem("Which of these states is farthest NORTH?")
    'which of these states is farthest north'
    """
    return " ".join(_PUNCTUATION.sub(" ", question.lower()).split())[:STEM_CHARS].rstrip()


def assign_families(
    ids: Sequence[str], questions: Sequence[str], image_hashes: Sequence[str | None]
) -> list[str]:
    """Return the family of each question: the id of the first question of its connected component.

    Parameters
    ----------
    ids, questions : sequence of str
        One entry per question.
    image_hashes : sequence of str or None
        Hash of the image file's bytes; None where there is no file.

    Returns
    -------
    list of str
        One family name per question.
    """
    keys: dict[tuple[str, str], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, (question, image_hash) in enumerate(zip(questions, image_hashes, strict=True)):
        marks = [("stem", question_stem(question))]
        if image_hash is not None:
            marks.append(("image", image_hash))
        for mark in marks:
            rows.append(row)
            columns.append(keys.setdefault(mark, len(keys)))
    n_questions, n_nodes = len(ids), len(ids) + len(keys)
    links = coo_array(
        (np.ones(len(rows), dtype=bool), (rows, np.asarray(columns, dtype=int) + n_questions)),
        shape=(n_nodes, n_nodes),
    )
    _, labels = connected_components(links, directed=False)
    names: dict[int, str] = {}
    return [names.setdefault(int(label), name) for label, name in zip(labels[:n_questions], ids, strict=True)]
