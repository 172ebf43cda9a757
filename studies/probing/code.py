"""Online description length: the bits it takes to send the labels to someone who has the vectors.

Training items come in blocks of whole families, each about as large as all before it. The first is sent with
a uniform code; each further one with the code of a probe that was fitted on all blocks before it. The same
fits, judged on the test items, are the learning curve. Settings are those of the whole training set.

References
----------
Voita, E. and Titov, I. (2020). Information-theoretic probing with minimum description length. EMNLP.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.probing.family import Settings
from studies.probing.probes import fit_probe, probe_family
from studies.probing.reading import check_split
from studies.probing.rows import as_rows, classes_of, credit_and_log_prob
from studies.probing.stage import Stage
from studies.probing.tasks import ChoiceTask, Items, Task
from studies.probing.usable import prior_log_prob

N_DOUBLINGS = 5
"""The first block is about 1/32 of the training items."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Items that are sent with one code."""

    n_known: int
    """Items that the code was learned from."""
    n_sent: int
    bits: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OnlineCode:
    """The length of a code of all training labels, and the learning curve of the same fits."""

    total_bits: float
    uniform_bits: float
    """Of a code that gives every class, or option of the item, the same."""
    prior_bits: float
    """Of a code in the same blocks that knows the shares of the labels so far, and no vector."""
    n: int
    """Training items."""
    blocks: tuple[Block, ...]
    curve: tuple[tuple[int, NDArray[np.float64]], ...]
    """Number of training items, and credit of the test items (n_test,); without the fit on all of them, which
    `read_out` gives."""

    @property
    def compression(self) -> float:
        """How many times shorter than the uniform code; 1 where there is one class and nothing to send."""
        return self.uniform_bits / self.total_bits if self.total_bits > 0 else 1.0


def online_code(
    probe: str,
    stage: Stage,
    task: Task,
    *,
    groups: ArrayLike,
    train: Items,
    test: Items,
    settings: Settings,
    seed: int,
    n_jobs: int = 1,
) -> OnlineCode:
    """Return the description length of the training labels, and a learning curve.

    Parameters
    ----------
    probe : str
        A name in `PROBES`.
    stage, task, groups, train, test
        As in `read_out`. Families are sent in an order drawn by the seed.
    settings : mapping
        Of the probe, as `read_out` chose them.
    seed, n_jobs : int
        As in `read_out`.

    Returns
    -------
    OnlineCode
        With one family everything is sent with the uniform code, and there is no curve.

    Raises
    ------
    ValueError
        As `read_out`.
    """
    family = probe_family(probe)
    check_split(train, test)
    classes = classes_of(stage, task)
    asked = as_rows(stage.take(test), task.take(test), classes)
    order, ends = _prefixes(train, np.asarray(groups)[train], seed=seed)
    uniform = _uniform_bits(task, order)
    first = float(uniform[: ends[0]].sum())
    blocks = [Block(n_known=0, n_sent=int(ends[0]), bits=first)]
    prior_bits, curve = first, []
    for start, stop in pairwise(ends):
        prefix, sent = order[:start], order[start:stop]
        known = as_rows(stage.take(prefix), task.take(prefix), classes)
        fitted = fit_probe(
            family,
            known.X,
            known.target,
            n_classes=known.n_classes,
            settings=settings,
            seed=seed,
            n_jobs=n_jobs,
        )
        of_sent = as_rows(stage.take(sent), task.take(sent), classes)
        log_prob = credit_and_log_prob(fitted.prob(of_sent.X), of_sent, n_train=len(prefix))[1]
        blocks.append(Block(n_known=len(prefix), n_sent=len(sent), bits=float(-log_prob.sum() / np.log(2.0))))
        prior_bits += float(-prior_log_prob(task, prefix, sent).sum() / np.log(2.0))
        curve.append((len(prefix), credit_and_log_prob(fitted.prob(asked.X), asked, n_train=len(prefix))[0]))
    return OnlineCode(
        total_bits=sum(block.bits for block in blocks),
        uniform_bits=float(uniform.sum()),
        prior_bits=prior_bits,
        n=len(train),
        blocks=tuple(blocks),
        curve=tuple(curve),
    )


def _uniform_bits(task: Task, items: Items) -> NDArray[np.float64]:
    """Return the bits of each item's label among its candidates, (n_items,)."""
    if isinstance(task, ChoiceTask):
        return np.log2(np.bincount(task.question)[items])
    return np.full(len(items), np.log2(len(np.unique(task.labels))))


def _prefixes(train: Items, families: NDArray[np.generic], *, seed: int) -> tuple[Items, NDArray[np.int64]]:
    """Return the items with families side by side in a drawn order, and where the prefixes end."""
    family = np.unique(families, return_inverse=True)[1]
    n_families = int(family.max()) + 1
    place = np.random.default_rng([seed, 3]).permutation(n_families)[family]
    ends = np.cumsum(np.bincount(place))
    wanted = len(train) / 2.0 ** np.arange(N_DOUBLINGS, -1, -1)
    # The end of a family that is the first at or behind the wanted one.
    chosen = np.unique(ends[np.searchsorted(ends, np.ceil(wanted))])
    return train[np.argsort(place, kind="stable")], chosen
