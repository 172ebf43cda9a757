r"""Multiple-choice questions as records of LLaVA, to train stage 2 with any tool that reads them [edge].

As LLaVA's ``convert_sqa_to_llava.py`` writes ScienceQA: ``id``, ``image`` where there is one, and
``conversations`` of a human and a gpt turn; ``<image>`` stands on a line of its own behind the human's words,
or before them for the prompt of v1.5. Training shows images first in both cases. A record per line, so that a
file of thousands stays readable.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.data.conversation import IMAGE_TOKEN
from llava_core.data.example import Example
from llava_core.data.prompts import Prompt, prompted_turns
from llava_core.errors import InputError
from llava_core.folders import write_whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What became of the questions."""

    n_records: int
    n_unlabelled: int
    """Passed over: nobody says what the answer is."""
    n_lost: int
    """Passed over: their image is not on disk."""


def write_records(examples: Sequence[Example], prompt: Prompt, out: Path, *, image_root: Path) -> Written:
    """Write questions with an answer as a JSON list of records.

    Parameters
    ----------
    examples : sequence of Example
    prompt : Prompt
    out : Path
        Written whole, or not at all.
    image_root : Path
        Folder that the image paths of the records are relative to.

    Raises
    ------
    InputError
        If no question is left, or the words of one with an image hold the mark of an image.
    """
    unlabelled = [example for example in examples if example.answer is None]
    lost = [e for e in examples if e.answer is not None and e.has_image and e.image is None]
    kept = [e for e in examples if e.answer is not None and (e.image is not None or not e.has_image)]
    if not kept:
        raise InputError(
            f"got {len(unlabelled)} questions without an answer and {len(lost)} whose image is not on disk, "
            "needed is one with both"
        )
    lines = [json.dumps(_record(example, prompt, image_root), ensure_ascii=False) for example in kept]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, "[\n" + ",\n".join(lines) + "\n]\n")
    return Written(n_records=len(kept), n_unlabelled=len(unlabelled), n_lost=len(lost))


def _record(example: Example, prompt: Prompt, image_root: Path) -> dict[str, Any]:
    human, assistant = (turn.text for turn in prompted_turns(example, prompt, answered=True))
    record: dict[str, Any] = {"id": example.id}
    if example.image is not None:
        for words in (human, assistant):
            if IMAGE_TOKEN in words:
                raise InputError(
                    f"got {IMAGE_TOKEN} in the words of a question with an image", record=example.id
                )
        record["image"] = Path(os.path.relpath(example.image.absolute(), image_root.absolute())).as_posix()
        human = f"{IMAGE_TOKEN}\n{human}" if prompt.mark_first else f"{human}\n{IMAGE_TOKEN}"
    record["conversations"] = [{"from": "human", "value": human}, {"from": "gpt", "value": assistant}]
    return record
