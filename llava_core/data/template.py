"""The fixed strings around the turns of a conversation: LLaVA's published templates, and the tiny models'.

Source: LLaVA's ``conversation.py``. Left out: the MPT and ChatML styles of its later versions.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """The fixed strings around the turns, and which of them carry loss beside the answers."""

    name: str
    system: str
    """System message at the start; may be empty."""
    human_prefix: str
    human_suffix: str
    assistant_prefix: str
    """Without the space before the answer, which belongs to the answer."""
    image_separator: str
    """Between an image and what follows it, or comes before it, in a human turn; not beside empty words."""
    human_text: bool = True
    """False: human words are dropped, only the image stays (stage 1 of LLaVA)."""
    first_human_prefix: str | None = None
    """In place of ``human_prefix`` in the first turn."""
    answer_prefix: str = " "
    """Before the answer, supervised as part of it."""
    answer_suffix: str = ""
    """After the answer, supervised as part of it."""
    stop_token: bool = True
    """Whether the tokenizer's stop token ends each answer, supervised."""
    start_each_round: bool = False
    """Whether the start token stands before every human turn, not only the first."""
    marker: str = ""
    """Beginning of ``human_prefix`` and ``assistant_prefix`` at which generation stops. It is supervised in
    both, and so is the rest of ``assistant_prefix``."""
    closing: str = ""
    """After a last answer, supervised."""
    joint: bool = True
    """Whether a chunk is tokenized in one piece. False: each of its stretches by itself, so that no word can
    merge with the frame around it."""

    @property
    def stop_text(self) -> str:
        """Text at which generation stops, beside the stop token; empty if there is none."""
        return self.marker or ("" if self.stop_token else self.answer_suffix)


V0 = Template(
    name="v0",
    system=(
        "A chat between a curious human and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the human's questions.\n\n"
    ),
    human_prefix="### Human: ",
    human_suffix="\n",
    assistant_prefix="### Assistant:",
    image_separator="\n",
    answer_suffix="\n",
    stop_token=False,
    marker="###",
    closing="### ",
)
"""The style of the paper's time (April 2023): the end of an answer is learned as the next ``###``."""

V1 = Template(
    name="v1",
    system=(
        "A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions. "
    ),
    human_prefix="USER: ",
    human_suffix=" ",
    assistant_prefix="ASSISTANT:",
    image_separator="\n",
)
"""Vicuna v1, with which LLaVA v1 and v1.5 train stage 2."""

LLAVA_V1 = replace(
    V1,
    name="llava_v1",
    system=(
        "A chat between a curious human and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the human's questions. "
    ),
)
"""Vicuna v1 with LLaVA's own system message: ScienceQA from August 2023 on."""

LLAMA_2 = Template(
    name="llama_2",
    system="",
    first_human_prefix=(
        "[INST] <<SYS>>\nYou are a helpful language and vision assistant. You are able to understand the "
        "visual content that the user provides, and assist the user with a variety of tasks using natural "
        "language.\n<</SYS>>\n\n"
    ),
    human_prefix="[INST] ",
    human_suffix=" [/INST]",
    assistant_prefix="",
    image_separator="\n",
    answer_suffix=" ",
    start_each_round=True,
)
"""LLaMA-2-chat, as in LLaVA's preview of July 2023."""

PLAIN = Template(
    name="plain",
    system="",
    human_prefix="",
    human_suffix="",
    assistant_prefix="",
    image_separator="",
    human_text=False,
    answer_prefix="",
    answer_suffix="\n",
    stop_token=False,
)
"""Image, then caption and newline: stage 1."""

MINI_PLAIN = replace(
    PLAIN, name="mini_plain", answer_prefix=" ", answer_suffix="", stop_token=True, joint=False
)
"""PLAIN with the stop token in place of the newline."""

MINI_V1 = Template(
    name="mini_v1",
    system="A chat about science.\n",
    human_prefix="USER: ",
    human_suffix="\n",
    assistant_prefix="ASSISTANT:",
    image_separator="\n",
    joint=False,
)
"""V1 with a system message that a model of 50 tokens' span can afford."""

TEMPLATES = {template.name: template for template in (V0, V1, LLAVA_V1, LLAMA_2, PLAIN, MINI_PLAIN, MINI_V1)}
