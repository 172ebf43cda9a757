"""What is to be read off: fields of the questions, the answer, whether there is an image, own labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.data.example import Example
from llava_core.errors import InputError
from studies.catalog.probing.labels import as_labels, is_file_of_labels, laid_out, read_labels
from studies.probing import ChoiceTask, ClassTask, Task

FIELDS: Mapping[str, str] = {"subject": "Subject", "topic": "Topic", "skill": "Skill", "grade": "Grade"}
"""Fields of a question, which the data set gives."""
HAS_IMAGE, ANSWER = "has_image", "answer"
NAMES = (*FIELDS, HAS_IMAGE, ANSWER)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Target:
    """Something that is to be read off the vectors of each item."""

    name: str
    """Unique in the run."""
    label: str
    task: Task
    """Of all items of the source; of one that has none it says anything."""
    known: NDArray[np.bool_]
    """(n_items,) whether the item has it."""
    of_all: bool = False
    """Whether it is about all items, those without image too."""


def needs_data(told: str, levels: Sequence[str]) -> bool:
    """Whether a target of a store needs the texts of its data set.

    Parameters
    ----------
    told : str
        As the user named it.
    levels : sequence of str
        Of the stages that are probed.
    """
    return told in FIELDS or (told == ANSWER and "example" in levels)


def field_target(name: str, examples: Sequence[Example]) -> Target:
    """Return a field of the questions as a target."""
    labels = np.array([getattr(example, name) or "" for example in examples], dtype=np.str_)
    return _class_target(name, FIELDS[name], labels)


def image_target(has_image: NDArray[np.bool_]) -> Target:
    """Return whether there is an image, (n_items,), as a target."""
    return Target(
        name=HAS_IMAGE,
        label="Has an image",
        task=ClassTask(labels=np.where(has_image, "yes", "no")),
        known=np.ones(len(has_image), dtype=np.bool_),
        of_all=True,
    )


def answer_target(
    n_options: NDArray[np.int64], answer: NDArray[np.int64], options: Sequence[str] | None
) -> Target:
    """Return the right answer as a target.

    Parameters
    ----------
    n_options : ndarray of int, shape (n_items,)
    answer : ndarray of int, shape (n_items,)
        Place of the right option, -1 where it is unknown.
    options : sequence of str, optional
        Texts of all options, one per row; without them, places stand for texts.
    """
    first = np.cumsum(n_options) - n_options
    place = np.arange(int(n_options.sum())) - np.repeat(first, n_options)
    texts = place.astype(np.str_) if options is None else np.array(options, dtype=np.str_)
    return Target(
        name=ANSWER,
        label="Answer",
        task=ChoiceTask(
            question=np.repeat(np.arange(len(n_options)), n_options),
            option=texts,
            is_right=place == np.repeat(np.maximum(answer, 0), n_options),
        ),
        known=answer >= 0,
    )


def own_target(
    told: str,
    *,
    columns: "Mapping[str, pd.Series[Any]]",
    ids: NDArray[np.str_] | None,
    n_items: int,
    source: Path,
    others: Sequence[str] = (),
) -> Target:
    """Return a column of the source, or a file of labels, as a target.

    Parameters
    ----------
    told : str
        As the user named it.
    columns : mapping
        Of the source.
    ids : ndarray of str, shape (n_items,), optional
    n_items : int
    source : Path
    others : sequence of str
        Further names that would have been allowed.

    Raises
    ------
    InputError
        If there is no such column or file, or it holds no labels.
    """
    if told in columns:
        return _class_target(told, told, as_labels(columns[told], path=source, field=told))
    if not is_file_of_labels(told):
        known = "".join(f"{name}, " for name in (*others, *columns))
        raise InputError(
            f"got {told!r}, allowed are {known}a file of labels (.csv, .parquet, .npy) or FILE:COLUMN",
            field="target",
        )
    labels = read_labels(told)
    return _class_target(labels.name, labels.name, laid_out(labels, ids, n_items=n_items))


def check_targets(targets: Sequence[Target]) -> None:
    """Check that names tell the targets apart and that each has two classes.

    Raises
    ------
    InputError
        If a name stands twice, or all labels are equal, missing, or nearly all different.
    """
    names = [target.name for target in targets]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise InputError(f"got two targets named {double!r}, allowed is one", field="target")
    for target in targets:
        if isinstance(target.task, ChoiceTask):
            continue
        labels = target.task.labels[target.known]
        classes = np.unique(labels)
        if len(classes) < 2:
            told = f"{str(classes[0])!r} for every row" if len(classes) else "no label"
            raise InputError(f"got {told}, allowed are two classes or more", field=target.name)
        if len(classes) > len(labels) / 2:
            raise InputError(
                f"got {len(classes)} different labels of {len(labels)} rows, "
                "allowed are classes of two rows and more on average",
                field=target.name,
            )


def _class_target(name: str, label: str, labels: NDArray[np.str_]) -> Target:
    return Target(name=name, label=label, task=ClassTask(labels=labels), known=labels != "")
