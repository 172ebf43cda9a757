"""Which items are learned from and which are scored.

With parts in the data: fitted on the training part, scored on the test part, val untouched; families of test
leave the training part. Without: three tenths of the families are held out by seed. The random split parts
items instead, within what may be learned from, and lets families straddle: it shows what that hides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llava_core.errors import InputError
from studies.catalog.protocol import PART_NAMES

HELD_OUT = 0.3
"""Share of the families, or of the items in a random split, that is scored."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Division:
    """Items to learn from and items to score, ascending."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    told: str
    """In one sentence."""
    n_families_removed: int = 0
    """Families of the training part that the test part has too."""
    n_items_removed: int = 0
    """Items of the training part that they took with them."""


def divide(
    families: NDArray[np.str_],
    parts: NDArray[np.str_] | None,
    *,
    split: str,
    seed: int,
    limit: int | None = None,
) -> Division:
    """Part the items.

    Parameters
    ----------
    families : ndarray of str, shape (n_items,)
    parts : ndarray of str, shape (n_items,), optional
        Name of each item's part; None where the data has no parts.
    split : str
        ``family`` or ``random``.
    seed : int
    limit : int, optional
        Items to a part, drawn by seed.

    Raises
    ------
    InputError
        If there are no such parts, or too few families.
    """
    rng = np.random.default_rng(seed)
    if parts is None:
        pool, told = np.arange(len(families)), "all rows"
    else:
        names = {
            part: next((name for name in PART_NAMES[part] if name in parts), None) for part in PART_NAMES
        }
        if names["train"] is None or names["test"] is None:
            raise InputError(
                f"got parts {', '.join(sorted(set(parts)))}, allowed are train and test, or no parts at all",
                field="split",
            )
        pool, told = np.flatnonzero(parts == names["train"]), f"part {names['train']}"
    removed = np.zeros(len(families), dtype=np.bool_)
    if split == "random":
        train, test = random_split(pool, rng=rng)
        sentence = (
            f"{100 * HELD_OUT:.0f} % of the items of {told} are scored, drawn at random: "
            "families straddle the split."
        )
    elif parts is not None:
        test = np.flatnonzero(parts == names["test"])
        removed[pool] = np.isin(families[pool], families[test])
        train = pool[~removed[pool]]
        sentence = f"Fitted on {told}, scored on part {names['test']}; no family stands in both."
    else:
        names_of_families = np.unique(families)
        n_held_out = max(1, round(HELD_OUT * len(names_of_families)))
        held_out = rng.permutation(names_of_families)[:n_held_out]
        is_test = np.isin(families, held_out)
        train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        sentence = f"{100 * HELD_OUT:.0f} % of the families are held out by seed and scored."
    if limit is not None:
        train, test = (np.sort(rng.permutation(items)[:limit]) for items in (train, test))
    _check(families, train, test)
    return Division(
        train=train,
        test=test,
        told=sentence,
        n_families_removed=len(np.unique(families[removed])),
        n_items_removed=int(removed.sum()),
    )


def random_split(
    items: NDArray[np.intp], *, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return items to learn from and to score, dealt one by one whatever their families."""
    drawn = rng.permutation(items)
    n_scored = max(1, round(HELD_OUT * len(items)))
    return np.sort(drawn[n_scored:]), np.sort(drawn[:n_scored])


def _check(families: NDArray[np.str_], train: NDArray[np.intp], test: NDArray[np.intp]) -> None:
    n_train, n_test = len(np.unique(families[train])), len(np.unique(families[test]))
    if n_train < 2 or n_test < 1:
        raise InputError(
            f"got {n_train} families to learn from and {n_test} to score, allowed are 2 and 1 or more",
            field="groups",
        )
