"""Which combinations and entities are held out: a hash decides, the same on every machine, for every seed."""

import hashlib
from collections.abc import Iterable

COMBINATION_FRAC = 0.12
"""Share of the combinations of an image skill that occur in the test alone."""
FACT_FRAC = 0.20
"""Share of the entities of a fact skill that occur in the test alone."""


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def hash_frac(text: str) -> float:
    """Return a number in [0, 1) that is the same for the same text, on every machine."""
    return int(text_hash(text)[:12], 16) / 16**12


def is_reserved(skill: str, combinations: Iterable[str], *, is_fact: bool) -> bool:
    """Return whether any of the combinations (or the entity) of a scene is held out."""
    share = FACT_FRAC if is_fact else COMBINATION_FRAC
    return any(hash_frac(f"reserve {skill} {combination}") < share for combination in combinations)
