"""LLaVA in a few lines: load, answer one question or many, chat.

    from llava_core import Llava

    llava = Llava.load("checkpoint/finetune")
    print(llava.answer("What is shown?", "photo.jpg"))
    for piece in llava.chat().ask("What is shown?", "photo.jpg"):
        print(piece, end="", flush=True)

Left out: what is measured on a data set, see `llava_core.inference.logprob` and `replies`.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from llava_core.checkpoint import LlavaBundle, load_checkpoint
from llava_core.checkpoint.quantize import Quantize
from llava_core.data.conversation import Turn
from llava_core.inference.decoding import Decoding
from llava_core.inference.generate import Dialogue, generate, stream
from llava_core.inference.image_source import ImageSource, open_image
from llava_core.inference.place import choose_place

GREEDY = Decoding()
BATCH_SIZE = 8


class Llava:
    """A trained model that answers.

    Parameters
    ----------
    bundle : LlavaBundle
        From `load_checkpoint`, or what training returned.
    """

    def __init__(self, bundle: LlavaBundle) -> None:
        self.bundle = bundle

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        template: str = "v1",
        prompt: str | None = None,
        quantize: Quantize | None = None,
    ) -> "Llava":
        """Load a checkpoint.

        Parameters
        ----------
        source : str or Path
            What `load_checkpoint` takes.
        device : str, optional
            A device of torch; the first GPU if there is one, else the CPU.
        dtype : str, optional
            Of `llava_core.inference.place.DTYPES`; bfloat16 on a GPU and float32 elsewhere, if not given.

        template : str
            How a checkpoint of others is asked; ours say it themselves.
        prompt : str, optional
            How multiple-choice questions are asked, of `llava_core.data.prompts`; as the checkpoint says, if
            not given.
        quantize : {"8bit", "4bit"}, optional
            Load the language model through bitsandbytes, on a GPU.

        Raises
        ------
        InputError
            If there is no such checkpoint, device, precision, template or prompt, or bitsandbytes is
            missing.
        """
        place, precision = choose_place(device, dtype)
        return cls(
            load_checkpoint(
                source, device=place, dtype=precision, template=template, prompt=prompt, quantize=quantize
            )
        )

    def answer(self, question: str, *images: ImageSource, decoding: Decoding = GREEDY) -> str:
        """Return the answer to one question about any number of images.

        Parameters
        ----------
        question : str
        *images : str, Path or PIL image
            Paths, addresses (http, https, data) or images in memory.
        decoding : Decoding
            Greedy if not given.

        Raises
        ------
        InputError
            If an image cannot be read, or all is longer than the language model's span.
        """
        return self.answer_all([(question, *images)], decoding=decoding)[0]

    def answer_all(
        self,
        questions: Sequence[tuple[str, *tuple[ImageSource, ...]]],
        *,
        batch_size: int = BATCH_SIZE,
        decoding: Decoding = GREEDY,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[str]:
        """Return the answers to many questions, in batches that the answers do not depend on.

        Parameters
        ----------
        questions : sequence of tuple
            Question and its images, as `answer` takes them.
        batch_size : int
        decoding : Decoding
        progress : callable, optional
            Called with (questions done, questions in all).

        Raises
        ------
        InputError
            As `answer`.
        """
        asked = [
            Dialogue(turns=(_human_turn(text, len(images)),), images=tuple(images))
            for text, *images in questions
        ]
        return generate(self.bundle, asked, decoding, batch_size=batch_size, progress=progress)

    def chat(self, *, decoding: Decoding = GREEDY) -> "Chat":
        """Return a new chat."""
        return Chat(self.bundle, decoding)


class Chat:
    """A conversation that remembers. Its whole history is read anew for each answer.

    Parameters
    ----------
    bundle : LlavaBundle
    decoding : Decoding
    """

    def __init__(self, bundle: LlavaBundle, decoding: Decoding) -> None:
        self.bundle = bundle
        self.decoding = decoding
        self.turns: tuple[Turn, ...] = ()
        self.images: tuple[Image.Image, ...] = ()

    def ask(self, text: str, *images: ImageSource) -> Iterator[str]:
        """Yield the answer piece by piece.

        Question and answer join the history when the last piece has been taken; an answer that is broken off
        leaves no trace.

        Parameters
        ----------
        text : str
        *images : str, Path or PIL image
            Shown before the text.

        Raises
        ------
        InputError
            If an image cannot be read, or the conversation has outgrown the language model's span.
        """
        turns = (*self.turns, _human_turn(text, len(images)))
        shown = (*self.images, *(open_image(image) for image in images))
        pieces = []
        for piece in stream(self.bundle, Dialogue(turns=turns, images=shown), self.decoding):
            pieces.append(piece)
            yield piece
        self.turns = (*turns, Turn(role="assistant", text="".join(pieces)))
        self.images = shown

    def reset(self) -> None:
        """Forget all turns and images."""
        self.turns, self.images = (), ()


def _human_turn(text: str, n_images: int) -> Turn:
    """Return a question with its images before the text."""
    if n_images == 0:
        return Turn(role="human", text=text)
    return Turn(role="human", text=text, image="first", n_images=n_images)
