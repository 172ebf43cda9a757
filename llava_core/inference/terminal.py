"""A chat in the terminal, or with lines from a pipe [edge]."""

import shlex
import sys
from collections.abc import Sequence

from PIL import Image
from rich.console import Console

from llava_core.data.conversation import Turn
from llava_core.errors import InputError
from llava_core.inference.assistant import Chat
from llava_core.inference.image_source import open_image

HELP = """\
/image PATH_OR_URL  show an image with your next words; may be repeated
/reset              forget the conversation and its images
/history            print the conversation so far
/help               print this
/quit               end; so do an empty line and Ctrl-D
Ctrl-C              break off an answer"""


def run_chat(chat: Chat, images: Sequence[str], *, console: Console, notes: Console) -> None:
    """Talk until the input ends.

    Parameters
    ----------
    chat : Chat
    images : sequence of str
        Paths or addresses, shown with the first words.
    console : Console
        Gets the answers, one line each, and what `HELP` and the history print.
    notes : Console
        Gets prompts (when the input is a terminal) and problems.

    Raises
    ------
    InputError
        If one of ``images`` cannot be read; later problems are told, and the chat goes on.
    """
    waiting: list[Image.Image] = [open_image(image) for image in images]
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        _say(notes, "Ask away. /help lists what else there is.")
    while (line := _read(is_terminal)) not in ("", "/quit"):
        command, _, rest = line.partition(" ")
        try:
            if command == "/image":
                if not rest:
                    raise InputError("got /image by itself, expected /image PATH_OR_URL")
                waiting.append(open_image(_unquoted(rest)))
            elif command == "/reset":
                chat.reset()
                waiting = []
            elif command == "/history":
                for turn in chat.turns:
                    _say(console, _told(turn))
            elif command == "/help":
                _say(console, HELP)
            elif command.startswith("/") and "/" not in command[1:]:
                _say(notes, f"error: got {command}, allowed are /image /reset /history /help /quit")
            else:
                _answer(chat, line, waiting, console)
                waiting = []
        except InputError as error:
            _say(notes, f"error: {error}")
        except KeyboardInterrupt:
            _say(notes, "\nBroken off; the conversation is as it was before.")


def _answer(chat: Chat, words: str, images: Sequence[Image.Image], console: Console) -> None:
    for piece in chat.ask(words, *images):
        console.print(piece, end="", markup=False, highlight=False, soft_wrap=True)
    console.print()


def _read(is_terminal: bool) -> str:
    """Return the next line, "" at the end of the input."""
    try:
        if is_terminal:
            import readline  # noqa: F401  (lets the arrow keys edit the line)
        return input("> " if is_terminal else "").strip()
    except (EOFError, KeyboardInterrupt):
        return ""


def _unquoted(path: str) -> str:
    """Return a path as a shell would read it, so that a dragged or tab-completed one works."""
    try:
        words = shlex.split(path)
    except ValueError:
        words = []
    return words[0] if len(words) == 1 else path.strip()


def _told(turn: Turn) -> str:
    if turn.role == "assistant":
        return turn.text
    n_images = 0 if turn.image is None else turn.n_images
    shown = "" if n_images == 0 else "[1 image] " if n_images == 1 else f"[{n_images} images] "
    return f"> {shown}{turn.text}"


def _say(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)
