"""The three kinds of instruction data: what each is asked with, and how its replies are read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from llava_core.errors import InputError
from llava_core.instructions.replies import Pair, read_conversation, read_detail, read_reasoning


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of instruction data."""

    name: str
    folder: str
    """Folder of its prompts, named as in the published ones."""
    boxes: bool
    """Whether the language model is told the boxes: as published, not for conversations."""
    read: Callable[[str], tuple[Pair, ...]]
    """Reads a reply; raises `Malformed`."""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(name="conversation", folder="conversation", boxes=False, read=read_conversation),
        Kind(name="detail", folder="detail_description", boxes=True, read=read_detail),
        Kind(name="reasoning", folder="complex_reasoning", boxes=True, read=read_reasoning),
    )
}


def chosen_kinds(names: Iterable[str]) -> list[Kind]:
    """Return kinds by name, in the order of `KINDS`.

    Raises
    ------
    InputError
        If a name is unknown, given twice, or none is given.
    """
    names = [name.strip() for name in names]
    for name in names:
        if name not in KINDS or names.count(name) > 1:
            raise InputError(
                f"got {', '.join(names)}; allowed are {', '.join(KINDS)}, each once", field="kinds"
            )
    if not names:
        raise InputError(f"got none; allowed are {', '.join(KINDS)}", field="kinds")
    return [KINDS[name] for name in KINDS if name in names]
