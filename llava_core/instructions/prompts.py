"""What the language model is told before it sees a scene: a system message and examples, from files [edge].

A folder of prompts has one folder per kind. It is laid out as the published ones, which work as they
are::

    conversation/system_message.txt
    conversation/000_caps.txt          what an example shows (captions; and boxes, after a blank line)
    conversation/000_conv.txt          the reply that is wanted for it
    detail_description/ ...            and questions.txt, a line each: what the human is made to ask
    complex_reasoning/ ...

Ours, in this package, are written for it; their scenes are invented.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from llava_core.backends.asking import Malformed
from llava_core.backends.chat import Message
from llava_core.errors import InputError
from llava_core.instructions.kinds import Kind

SYSTEM_FILE = "system_message.txt"
SHOWN = "_caps.txt"
WANTED = "_conv.txt"
QUESTIONS_FILE = "questions.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What comes before every scene of one kind."""

    opening: tuple[Message, ...]
    """System message, then each example as a turn of the user and one of the assistant."""
    questions: tuple[str, ...]
    """What a human may ask for the reply; empty where the language model writes the questions."""

    def messages(self, text: str) -> tuple[Message, ...]:
        """Return the whole of what is said for one scene."""
        return (*self.opening, Message(role="user", text=text))


def load_prompts(kinds: Iterable[Kind], folder: Path | None = None) -> dict[str, Prompt]:
    """Return the prompt of each kind by its name.

    Parameters
    ----------
    kinds : iterable of Kind
    folder : Path, optional
        Prompts of one's own; those of this package if not given.

    Raises
    ------
    InputError
        If a file is missing or empty, an example lacks its other half, or the reply of an example would be
        refused if a model gave it.
    """
    root: Traversable = _shipped() if folder is None else Path(folder)
    if not root.is_dir():
        raise InputError("no such folder of prompts", path=folder)
    return {kind.name: _load(kind, root / kind.folder) for kind in kinds}


def fingerprint(prompts: Mapping[str, Prompt]) -> str:
    """Return a SHA-256 over all that prompts say."""
    told = [
        [name, [[message.role, message.text] for message in prompt.opening], list(prompt.questions)]
        for name, prompt in sorted(prompts.items())
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _load(kind: Kind, folder: Traversable) -> Prompt:
    if not folder.is_dir():
        raise InputError("no such folder of prompts", path=Path(str(folder)))
    names = {file.name for file in folder.iterdir()}
    shots = sorted(name.removesuffix(SHOWN) for name in names if name.endswith(SHOWN))
    alone = sorted(name for name in names if name.endswith(WANTED) and name.removesuffix(WANTED) not in shots)
    if alone:
        raise InputError(
            f"lacks {alone[0].removesuffix(WANTED)}{SHOWN} beside {alone[0]}", path=Path(str(folder))
        )
    opening = [Message(role="system", text=_text(folder / SYSTEM_FILE))]
    for shot in shots:
        wanted = _text(folder / f"{shot}{WANTED}")
        try:
            kind.read(wanted)
        except Malformed as problem:
            raise InputError(
                f"would be refused as a reply ({problem}); an example must show what is allowed",
                path=Path(str(folder / f"{shot}{WANTED}")),
            ) from None
        opening.append(Message(role="user", text=_text(folder / f"{shot}{SHOWN}")))
        opening.append(Message(role="assistant", text=wanted))
    return Prompt(opening=tuple(opening), questions=_questions(kind, folder))


def _questions(kind: Kind, folder: Traversable) -> tuple[str, ...]:
    ours = _shipped() / kind.folder / QUESTIONS_FILE
    if not ours.is_file():
        return ()
    own = folder / QUESTIONS_FILE
    lines = _text(own if own.is_file() else ours).splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _text(file: Traversable) -> str:
    path = Path(str(file))
    try:
        if not file.is_file():
            raise InputError("no such file, or a pipe or a device", path=path)
        text = file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", path=path) from None
    if not text:
        raise InputError("is empty, allowed is text", path=path)
    return text


def _shipped() -> Traversable:
    return files("llava_core.instructions") / "prompts"
