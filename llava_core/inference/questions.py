"""Open questions about images, from a file or about each image of a folder [edge].

A file holds one object per line (or row of parquet): ``question``, and if wanted ``image`` (one or a list:
paths relative to the file, or addresses) and ``id``. LLaVA's own names ``text`` and ``question_id`` are read
as well. Left out: multiple choice, see `llava_core.data.load`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.data.image_files import check_image, find_image
from llava_core.data.json_file import json_type
from llava_core.data.records import read_records
from llava_core.errors import InputError

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_ADDRESSES = ("http://", "https://", "data:")


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question in words about any number of images."""

    id: str
    """Unique within its file."""
    text: str
    images: tuple[str, ...] = ()
    """Paths or addresses as the file names them, in the order they are shown."""
    folder: Path = Path()
    """What the paths are relative to."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Paths or addresses from the working folder on."""
        return tuple(each if _is_address(each) else str(self.folder / each) for each in self.images)


def check_images(questions: Sequence[Question]) -> None:
    """Check that every image file is a whole image, so that no answer is lost to one that comes later.

    Raises
    ------
    InputError
        Naming the first that is not, and how many are not.
    """
    broken: dict[str, str] = {}
    files = dict.fromkeys(source for question in questions for source in question.sources)
    for file in files:
        if _is_address(file):
            continue
        try:
            check_image(Path(file))
        except InputError as error:
            broken[file] = error.problem
    if broken:
        file, problem = next(iter(broken.items()))
        raise InputError(
            f"{problem}; {len(broken)} of {len(files)} image files cannot be read", path=Path(file)
        )


def read_questions(path: Path) -> list[Question]:
    """Read a file of questions, in its order.

    Raises
    ------
    InputError
        If the file cannot be read, a record lacks its question or repeats an id, or an image file is missing;
        the message names line and field.
    """
    questions: list[Question] = []
    seen: dict[str, str] = {}
    for number, record in enumerate(read_records(path), start=1):
        found = Question(
            id=_id(record.fields, path, record.where) or str(number),
            text=_text(record.fields, path, record.where),
            images=_images(record.fields, path, record.where),
            folder=path.parent,
        )
        if found.id in seen:
            raise InputError(
                f"got {found.id!r} again (first at {seen[found.id]})",
                path=path,
                record=record.where,
                field="id",
            )
        seen[found.id] = record.where
        questions.append(found)
    return questions


def folder_questions(folder: Path, text: str) -> list[Question]:
    """Ask the same about each image of a folder and its sub-folders, sorted by path.

    Raises
    ------
    InputError
        If there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError("no such folder", path=folder)
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise InputError(f"holds no image; looked for {' '.join(IMAGE_SUFFIXES)}", path=folder)
    names = [file.relative_to(folder).as_posix() for file in files]
    return [Question(id=name, text=text, images=(name,), folder=folder) for name in names]


def _field(fields: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    return next(((name, fields[name]) for name in names if name in fields), (names[0], None))


def _id(fields: Mapping[str, Any], path: Path, where: str) -> str | None:
    name, value = _field(fields, ("id", "question_id"))
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool) and value != ""):
        return None if value is None else str(value)
    raise InputError(
        f"got {json_type(value)}, allowed is a text or a whole number", path=path, record=where, field=name
    )


def _text(fields: Mapping[str, Any], path: Path, where: str) -> str:
    name, value = _field(fields, ("question", "text"))
    if isinstance(value, str) and value.strip():
        return value
    got = "none" if value is None else "an empty text" if isinstance(value, str) else json_type(value)
    raise InputError(f"got {got}, allowed is a question in words", path=path, record=where, field=name)


def _images(fields: Mapping[str, Any], path: Path, where: str) -> tuple[str, ...]:
    name, value = _field(fields, ("image", "images"))
    named = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(named, list) or not all(isinstance(each, str) and each for each in named):
        raise InputError(
            f"got {json_type(value)}, allowed is a path, an address or a list of them",
            path=path,
            record=where,
            field=name,
        )
    for each in named:
        if not _is_address(each) and find_image(path.parent, each) is None:
            raise InputError(f"no such image file: {path.parent / each}", path=path, record=where, field=name)
    return tuple(named)


def _is_address(image: str) -> bool:
    return image.lower().startswith(_ADDRESSES)
