"""Finders of noun phrases by name: ``rules``, or ``spacy:MODEL`` where that model is installed.

Every finder gives a phrase as the same kind of tokens (`llava_core.concepts.rules.split_words`), so that what
follows does not depend on which one was used.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

from llava_core.concepts.rules import find_noun_phrases, split_words
from llava_core.errors import InputError

Finder = Callable[[Sequence[str]], Iterable[list[list[str]]]]
"""From captions to the tokens of each noun phrase of each caption."""

RULES = "rules"
_SPACY = "spacy:"
_SPACY_BATCH = 256


@functools.lru_cache(maxsize=2)
def load_finder(name: str) -> Finder:
    """Return a finder.

    Parameters
    ----------
    name : str
        ``rules``, or ``spacy:`` and the name of an installed model, such as ``spacy:en_core_web_sm``.

    Raises
    ------
    InputError
        If there is no such finder, spaCy or the model is not installed, or the model has no parser.

    Examples
    --------
    >>> list(load_finder("rules")(["two boats on the lake", "a pond"]))
    [[['two', 'boats'], ['the', 'lake']], [['a', 'pond']]]
    """
    if name == RULES:
        return functools.partial(map, find_noun_phrases)
    if name.startswith(_SPACY) and name != _SPACY:
        return _spacy(name.removeprefix(_SPACY))
    raise InputError(
        f"got {name!r}, allowed is rules, or spacy:MODEL with an installed model of spaCy", field="finder"
    )


def finder_version(name: str) -> str:
    """Return the name of a finder with the versions that its phrases depend on."""
    from importlib.metadata import version

    load_finder(name)
    if name == RULES:
        return f"{RULES}, textblob {version('textblob')}"
    model = name.removeprefix(_SPACY)
    return f"{name} {version(model.replace('_', '-'))}, spacy {version('spacy')}"


def _spacy(model: str) -> Finder:
    try:
        import spacy
    except ImportError:
        raise InputError(
            "spaCy is not installed: pip install spacy, then python -m spacy download en_core_web_sm",
            field="finder",
        ) from None
    try:
        read = spacy.load(model, exclude=["ner", "lemmatizer"])
    except OSError:
        installed = ", ".join(sorted(spacy.util.get_installed_models())) or "none"
        raise InputError(
            f"got spacy:{model}, allowed is an installed model; here: {installed}", field="finder"
        ) from None
    if "parser" not in read.pipe_names:
        raise InputError(f"got spacy:{model}, which has no parser and so finds no phrases", field="finder")

    def find(captions: Sequence[str]) -> Iterator[list[list[str]]]:
        for told in read.pipe(captions, batch_size=_SPACY_BATCH):
            yield [split_words(chunk.text) for chunk in told.noun_chunks if chunk.root.pos_ != "PRON"]

    return find
