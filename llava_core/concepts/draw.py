"""Uniform draws of a phrase's captions that depend on nothing but the seed, the phrase and the captions.

Every pair of a phrase and a caption has a 64-bit number, a hash of both and the seed; the captions with the
smallest numbers are drawn. As the numbers are those of a random function, every subset is equally likely, and
draws for two phrases are independent. Neither the order of the rows, nor the number of processes, nor what
was drawn before has an influence. Captions alike in words, id, image and URL have the same number: the
earlier row comes first.

References
----------
The mixing function is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
number generators", section 5, with Stafford's constants).
"""

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return each number spread over all 64 bits: a bijection without visible pattern.

    Examples
    --------
    >>> hex(mix(np.array([0], dtype=np.uint64))[0])
    '0xe220a8397b1dcdaf'
    """
    mixed = values + _STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def draw(
    captions: NDArray[np.int32],
    caption_keys: NDArray[np.uint64],
    *,
    n_drawn: int,
    phrase_key: np.uint64,
    seed: int,
) -> NDArray[np.int32]:
    """Return some of the captions, drawn without replacement.

    Parameters
    ----------
    captions : ndarray of shape (n,)
        Rows to draw from, ascending.
    caption_keys : ndarray of shape (n_captions,)
        Hash of each caption of the file.
    n_drawn : int
        All are returned if there are no more than that.
    phrase_key : uint64
    seed : int

    Returns
    -------
    ndarray of shape (min(n, n_drawn),)
    """
    if len(captions) <= n_drawn:
        return captions
    of_phrase = mix(mix(np.array([seed], dtype=np.uint64)) ^ np.array([phrase_key], dtype=np.uint64))
    numbers = mix(caption_keys[captions] ^ of_phrase)
    return captions[np.argsort(numbers, kind="stable")[:n_drawn]]
