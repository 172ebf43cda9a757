"""LLaVA in two stages: data, model, training, inference, evaluation, feature extraction.

``Llava``, the model in five lines, is loaded with torch when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llava_core.inference.assistant import Llava

__all__ = ["Llava"]


def __getattr__(name: str) -> Any:
    if name == "Llava":
        from llava_core.inference.assistant import Llava

        return Llava
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
