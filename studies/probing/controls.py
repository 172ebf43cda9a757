"""Tasks that hold nothing to find: random labels per family, and shuffled training labels.

References
----------
Hewitt, J. and Liang, P. (2019). Designing and interpreting probes with control tasks. EMNLP.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.probing.tasks import ChoiceTask, ClassTask, Items, Task
from studies.stats import donor_rows


def control_task(task: Task, groups: ArrayLike, *, seed: int) -> Task:
    """Return the task with labels that only memory of a family can give.

    Every family draws one label for all its items: of a class task from the items' own labels, without
    replacement, so that rare labels stay rare; of a choice task a place among the item's options in the order
    of their texts, so that the same options have the same right one in a whole family. A probe's accuracy on
    it, where families stand on both sides of a split, is what it owes to memory; the real task's minus this
    is its selectivity.

    Parameters
    ----------
    task : ClassTask or ChoiceTask
    groups : (n_items,) array_like of int or str
        Family of each item.
    seed : int
    """
    rng = np.random.default_rng([seed, 1])
    families = np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(families) != task.n_items:
        raise ValueError(f"got {len(families)} families of {task.n_items} items, expected one of each")
    n_families = int(families.max()) + 1
    if isinstance(task, ClassTask):
        return ClassTask(labels=rng.choice(np.sort(task.labels), n_families, replace=False)[families])
    return _with_right(task, rng.random(n_families)[families])


def shuffled_task(task: Task, items: Items, *, seed: int) -> Task:
    """Return the task with the labels of some items shuffled, the floor of a probe that learns from them.

    Labels of a class task are permuted among these items. Items of a choice task exchange their options,
    texts and right one together, with items of as many options: a right one drawn among an item's own options
    would still tell a probe of the item's vector which words belong to it. Where vectors are few and alike,
    one shuffle lies widely about chance.

    Parameters
    ----------
    task : ClassTask or ChoiceTask
    items : (n,) array of int
        The training items; all others keep their labels.
    seed : int
    """
    rng = np.random.default_rng([seed, 2])
    if isinstance(task, ClassTask):
        labels = task.labels.copy()
        labels[items] = labels[rng.permutation(items)]
        return ClassTask(labels=labels)
    is_shuffled = np.isin(task.question, items)
    donor = donor_rows(task.question, rng, part=is_shuffled)
    rows = np.where(is_shuffled, donor, np.arange(len(donor)))
    return replace(task, option=task.option[rows], is_right=task.is_right[rows])


def _with_right(task: ChoiceTask, drawn: NDArray[np.float64]) -> ChoiceTask:
    """Return the task with the right option of each item drawn, from numbers in [0, 1) per item."""
    order = np.lexsort((task.option, task.question))
    sizes = np.bincount(task.question)
    starts = np.cumsum(sizes) - sizes
    is_right = np.zeros(len(task.question), dtype=np.bool_)
    is_right[order[starts + (drawn * sizes).astype(np.int64)]] = True
    return replace(task, is_right=is_right)
