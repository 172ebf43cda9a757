"""Text-only documents that the tiny language model is pre-trained on, beside captions."""

import hashlib
import json
from collections.abc import Iterator
from random import Random

from llava_core.data.conversation import question_prompt
from llava_core.data.example import Example
from llava_core.data.mini.parts import draw_text_question
from llava_core.data.mini.skills import RULE_SKILLS

N_TEXTS = 9000


def pretrain_texts(seed: int = 0, *, n: int = N_TEXTS) -> Iterator[tuple[str, str]]:
    """Yield pairs of human words and answer from the rule skills, of the pre-training part's scenes.

    Facts are left out: which capital a country has is for stage 2 to learn, or not.
    """
    rng = Random(f"{seed} texts")
    for k in range(n):
        skill = RULE_SKILLS[k % len(RULE_SKILLS)]
        question, options, answer, hint = draw_text_question(rng, skill)
        example = Example(
            id=str(k),
            question=question,
            options=options,
            answer=answer,
            split=None,
            group="",
            hint=hint or None,
        )
        yield question_prompt(example), options[answer]


def texts_fingerprint(seed: int = 0) -> str:
    """Return a SHA-256 over all texts."""
    return hashlib.sha256(json.dumps(list(pretrain_texts(seed))).encode()).hexdigest()
