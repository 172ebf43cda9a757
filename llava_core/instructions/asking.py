"""Requests for instruction data, and how their replies are taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from llava_core.backends.asking import Malformed
from llava_core.backends.chat import Reply, Request
from llava_core.errors import InputError
from llava_core.instructions.kinds import KINDS, Kind
from llava_core.instructions.prompts import Prompt
from llava_core.instructions.replies import Pair
from llava_core.instructions.scene import Scene, Scenes, scene_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """How a language model is asked. Where the published procedure is silent, the reason stands here."""

    seed: int = 0
    """Of the choice of images and of what is random in a record."""
    draw: str = "independent"
    """Which images each kind gets, see `choose_scenes`."""
    max_boxes: int | None = None
    """Most boxes told of an image, the largest; None for all, as in the published file of 80 images."""
    temperature: float = 0.7
    """Above 0, so that a malformed reply is not given again word for word."""
    max_reply_tokens: int = 1024
    """Published conversations take about 350."""

    def __post_init__(self) -> None:
        if self.draw not in ("independent", "same", "apart"):
            raise InputError(f"got {self.draw!r}, allowed are independent, same, apart", field="draw")
        if self.max_boxes is not None and self.max_boxes < 1:
            raise InputError(f"got {self.max_boxes}, allowed is 1 or more", field="max-boxes")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One record that is wanted: its kind, and which of the scenes it is about."""

    kind: Kind
    index: int


def wanted_records(kinds: Sequence[Kind], chosen: Sequence[Sequence[int]]) -> list[Wanted]:
    """Return what is wanted, the kinds by turns: a run that its budget ends has about as many of each."""
    return [
        Wanted(kind, index)
        for row in zip_longest(*chosen)
        for kind, index in zip(kinds, row, strict=True)
        if index is not None
    ]


def request_for(wanted: Wanted, scenes: Scenes, prompts: Mapping[str, Prompt], asking: Asking) -> Request:
    """Return the request for one record."""
    scene = scenes[wanted.index]
    text = scene_text(scene, boxes=wanted.kind.boxes, max_boxes=asking.max_boxes)
    return Request(
        id=request_id(wanted.kind, scene),
        messages=prompts[wanted.kind.name].messages(text),
        temperature=asking.temperature,
        max_tokens=asking.max_reply_tokens,
    )


def request_id(kind: Kind, scene: Scene) -> str:
    """Name a request, and through it the kind that its reply is read as."""
    return f"{kind.name}/{scene.id}"


def read_reply(request: Request, reply: Reply) -> tuple[Pair, ...]:
    """Read a reply to a request of ours.

    Raises
    ------
    Malformed
        If it was cut off or stopped, or does not keep to the format of its kind.
    """
    if reply.finish == "length":
        raise Malformed(f"cut off: {reply.n_completion_tokens} tokens were not enough")
    if reply.finish == "content_filter":
        raise Malformed("stopped by a content filter: as the endpoint tells")
    return KINDS[request.id.partition("/")[0]].read(reply.text)
