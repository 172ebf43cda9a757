r"""Reader of conversations in LLaVA's record format [edge].

A file is a JSON list, or has one object per line::

    {"id": "33471", "image": "coco/train2017/000000033471.jpg", "conversations": [
        {"from": "human", "value": "<image>\nWhat colour is the bus?"},
        {"from": "gpt", "value": "The bus is white and red."}]}

``image`` is a path relative to a folder of images, or a list of them; without it a conversation is text only.
Each ``<image>`` in human words stands for one image. As the published training code does since its version
1.0, the marks of a turn are taken out of its words and its images shown before them; and a first turn of
``gpt`` is skipped. Without ``image``, the letters ``<image>`` are words like any other, also as published.

Conversations are checked once, then read again from their place in the file when they are asked for: 665,000
of them take some ten megabytes, in every process. Left out: pixels, and the record's further fields.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from llava_core.data.conversation import IMAGE_TOKEN, Conversation, Turn
from llava_core.data.image_files import find_image, hash_file
from llava_core.data.json_file import json_type
from llava_core.data.json_stream import json_records, read_json_record
from llava_core.errors import InputError, shown

ImagePosition = Literal["front", "as written"]

_ROLES: Mapping[str, Literal["human", "assistant"]] = {"human": "human", "gpt": "assistant"}
_PROGRESS_EVERY = 1000
"""Records between two calls of a progress callback."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConversationFile:
    """A checked file of conversations, each read when it is asked for."""

    path: Path
    image_root: Path
    image_position: ImagePosition
    places: NDArray[np.int64]
    """(n_conversations, 2): first byte of a record, and the byte after it."""

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Conversation:
        start, end = self.places[index].tolist()
        record = str(range(1, len(self) + 1)[index])
        fields = read_json_record(self.path, start, end)
        return _Reader(self.path, self.image_root, self.image_position, record).conversation(fields)

    def __iter__(self) -> Iterator[Conversation]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConversationSet:
    """Conversations in file order, and what was counted on reading them."""

    name: str
    conversations: ConversationFile
    fingerprint: str
    """SHA-256 over the bytes of the file and, where they were looked for, names and sizes of the images; not
    over the images' bytes, which at full size are too many to read."""
    n_with_images: int
    n_images: int
    """Different image files."""
    passed_over: Mapping[str, int]
    """What was not taken as it stands, and how often."""


def load_conversations(
    path: Path,
    image_root: Path,
    *,
    image_position: ImagePosition = "front",
    check_images: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> ConversationSet:
    """Read and check a file of conversations.

    Parameters
    ----------
    path : Path
        A JSON list or JSONL.
    image_root : Path
        Folder that the image paths of the records are relative to.
    image_position : {"front", "as written"}
        Whether images are shown before the words of their turn, wherever their marks stand, or on that side
        of the words that they are written.
    check_images : bool
        Look for every image file now. Otherwise a missing one is noticed when it is opened.
    progress : callable, optional
        Called with bytes read and bytes in all.

    Returns
    -------
    ConversationSet

    Raises
    ------
    InputError
        If a file is missing or broken or a record breaks the format; the message names file, record (its
        number and id), field, what was got and what is allowed.
    """
    path, image_root = Path(path), Path(image_root)
    passed_over = {"first turn of gpt": 0, f"{IMAGE_TOKEN} as words": 0}
    sizes: dict[str, int] = {}
    places: list[tuple[int, int]] = []
    n_with_images, n_bytes = 0, path.stat().st_size if path.is_file() else 0
    for record in json_records(path):
        reader = _Reader(path, image_root, image_position, str(record.number))
        conversation = reader.conversation(record.fields)
        n_with_images += bool(conversation.images)
        passed_over["first turn of gpt"] += record.fields["conversations"][0]["from"] == "gpt"
        if not conversation.images:
            passed_over[f"{IMAGE_TOKEN} as words"] += any(IMAGE_TOKEN in t.text for t in conversation.turns)
        for name in reader.images(record.fields):
            if name not in sizes:
                sizes[name] = reader.size_of(name) if check_images else -1
        places.append((record.start, record.end))
        if progress is not None and record.number % _PROGRESS_EVERY == 0:
            progress(record.end, n_bytes)
    if not places:
        raise InputError("holds no records", path=path)
    if progress is not None:
        progress(n_bytes, n_bytes)
    return ConversationSet(
        name=path.stem,
        conversations=ConversationFile(
            path=path, image_root=image_root, image_position=image_position, places=np.array(places)
        ),
        fingerprint=_fingerprint(path, sizes if check_images else {}),
        n_with_images=n_with_images,
        n_images=len(sizes),
        passed_over={what: n for what, n in passed_over.items() if n},
    )


@dataclass(slots=True)
class _Reader:
    """Turns one record into a conversation, and knows where to say that a fault is."""

    path: Path
    image_root: Path
    image_position: ImagePosition
    record: str

    def conversation(self, fields: Mapping[str, Any]) -> Conversation:
        key = fields.get("id")
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise self.fault("id", f"got {_told(fields, 'id')}, allowed is a text or a whole number")
        self.record = f"{self.record} (id {key})"
        named = self.images(fields)
        turns = self.turns(fields, has_images=bool(named))
        n_marks = sum(turn.n_images for turn in turns if turn.image is not None)
        if n_marks != len(named):
            raise self.fault(
                "conversations",
                f"got {n_marks} {IMAGE_TOKEN} in human words for {len(named)} images, "
                "allowed is one for each",
            )
        return Conversation(id=str(key), turns=turns, images=tuple(self.image_root / name for name in named))

    def images(self, fields: Mapping[str, Any]) -> list[str]:
        value = fields.get("image")
        if value is None:
            return []
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise self.fault("image", f"got {shown(value)}, allowed is a path or a list of paths")
        for name in names:
            if Path(name).is_absolute():
                raise self.fault("image", f"got {name!r}, allowed is a path relative to the image folder")
        return names

    def turns(self, fields: Mapping[str, Any], *, has_images: bool) -> tuple[Turn, ...]:
        said = fields.get("conversations")
        if not isinstance(said, list):
            raise self.fault("conversations", f"got {_told(fields, 'conversations')}, allowed is a list")
        turns: list[Turn] = []
        for index, turn in enumerate(said):
            field = f"conversations[{index}]"
            if not isinstance(turn, dict):
                raise self.fault(field, f"got {json_type(turn)}, allowed is an object")
            role = _ROLES.get(turn["from"]) if isinstance(turn.get("from"), str) else None
            if role is None:
                raise self.fault(
                    f"{field}.from", f"got {_told(turn, 'from')}, allowed are {', '.join(_ROLES)}"
                )
            words = turn.get("value")
            if not isinstance(words, str):
                raise self.fault(f"{field}.value", f"got {_told(turn, 'value')}, allowed is text")
            if index == 0 and role == "assistant":
                continue
            expected = ("human", "assistant")[len(turns) % 2]
            if role != expected:
                raise self.fault(
                    f"{field}.from",
                    f"got {turn['from']!r} again, allowed is human and gpt by turns, human first",
                )
            if role == "human":
                turns.append(self.asked(words, f"{field}.value", has_images=has_images))
            else:
                turns.append(self.answered(words, f"{field}.value", has_images=has_images))
        if not turns or turns[-1].role == "human":
            raise self.fault(
                "conversations",
                f"got {len(turns)} turns from the first human one on, the last without an answer; "
                "allowed is an answer of gpt to every human turn",
            )
        return tuple(turns)

    def asked(self, words: str, field: str, *, has_images: bool) -> Turn:
        n_images = words.count(IMAGE_TOKEN) if has_images else 0
        if not n_images:
            if not words.strip():
                raise self.fault(field, "got no words, allowed is text or an image")
            return Turn(role="human", text=words)
        bare = words.replace(IMAGE_TOKEN, "").strip()
        side: Literal["first", "last"] = "first"
        if self.image_position == "as written" and bare:
            outside = words.strip()
            while outside.startswith(IMAGE_TOKEN):
                outside = outside.removeprefix(IMAGE_TOKEN).lstrip()
            if outside.endswith(IMAGE_TOKEN) and outside.count(IMAGE_TOKEN) == n_images:
                side = "last"
                while outside.endswith(IMAGE_TOKEN):
                    outside = outside.removesuffix(IMAGE_TOKEN).rstrip()
            if IMAGE_TOKEN in outside:
                raise self.fault(
                    field, f"got {IMAGE_TOKEN} inside the words, allowed is all before or all after them"
                )
        return Turn(role="human", text=bare, image=side, n_images=n_images)

    def answered(self, words: str, field: str, *, has_images: bool) -> Turn:
        if not words.strip():
            raise self.fault(field, "got an empty answer, allowed is text: there would be nothing to learn")
        if has_images and IMAGE_TOKEN in words:
            raise self.fault(field, f"got {IMAGE_TOKEN} in an answer, allowed is in human words")
        return Turn(role="assistant", text=words)

    def size_of(self, name: str) -> int:
        """Return the bytes of an image file."""
        file = find_image(self.image_root, name)
        if file is None:
            raise self.fault("image", f"got {name!r}, allowed is a file in {self.image_root}")
        return file.stat().st_size

    def fault(self, field: str, problem: str) -> InputError:
        return InputError(problem, path=self.path, record=self.record, field=field)


def _told(fields: Mapping[str, Any], name: str) -> str:
    """Return what stands in a field, in few words."""
    if name not in fields:
        return "nothing"
    value = fields[name]
    return shown(value) if isinstance(value, str | int | float) else json_type(value)


def _fingerprint(path: Path, sizes: Mapping[str, int]) -> str:
    digest = hashlib.sha256(hash_file(path).encode())
    for name, size in sorted(sizes.items()):
        digest.update(f"\n{name} {size}".encode())
    return digest.hexdigest()
