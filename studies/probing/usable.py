"""How many bits of an item's label a probe can use: pointwise V-information.

References
----------
Xu, Y. et al. (2020). A theory of usable information under computational constraints. ICLR.
Ethayarajh, K., Choi, Y. and Swayamdipta, S. (2022). Understanding dataset difficulty with V-usable
information. ICML.
"""

import numpy as np
from numpy.typing import NDArray

from studies.probing.tasks import ChoiceTask, Items, Task


def prior_log_prob(task: Task, known: Items, asked: Items) -> NDArray[np.float64]:
    """Return the natural log of what a right label gets from who sees no vector, (n_asked,).

    Of a class task it is the label's share among the known items, with one more item spread evenly over
    the classes; of a choice task every option of an item gets the same.

    Examples
    --------
    >>> from studies.probing.tasks import ClassTask
    >>> task = ClassTask(labels=np.array(["a", "a", "a", "b"]))
    >>> np.exp(prior_log_prob(task, np.array([0, 1, 2]), np.array([2, 3])))
    array([0.875, 0.125])
    """
    if isinstance(task, ChoiceTask):
        return -np.log(np.bincount(task.question)[asked])
    classes, codes = np.unique(task.labels, return_inverse=True)
    counts = np.bincount(codes[known], minlength=len(classes))
    return np.log((counts + 1 / len(classes)) / (len(known) + 1))[codes[asked]]


def usable_bits(
    log_prob: NDArray[np.float64], task: Task, *, train: Items, test: Items
) -> NDArray[np.float64]:
    """Return the bits that the vectors add to the right label's probability, per test item.

    Negative where the probe is further off than who sees nothing: such items are hard, or mislabelled.

    Parameters
    ----------
    log_prob : (n_test,) array of float
        From a `ReadOut`.
    task : ClassTask or ChoiceTask
    train, test : (n,) array of int

    Returns
    -------
    (n_test,) ndarray of float
    """
    return np.asarray((log_prob - prior_log_prob(task, train, test)) / np.log(2.0))
