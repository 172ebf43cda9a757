"""Mini-ScienceQA: questions in ScienceQA's schema generated, with parts held apart by construction."""

from llava_core.data.mini.parts import PARTS, STUDY_PARTS, VERSION, MiniItem, generate
from llava_core.data.mini.skills import SKILLS
from llava_core.data.mini.texts import pretrain_texts, texts_fingerprint
from llava_core.data.mini.write import holds_mini, mini_fingerprint, write_mini

__all__ = [
    "PARTS",
    "SKILLS",
    "STUDY_PARTS",
    "VERSION",
    "MiniItem",
    "generate",
    "holds_mini",
    "mini_fingerprint",
    "pretrain_texts",
    "texts_fingerprint",
    "write_mini",
]
