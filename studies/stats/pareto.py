"""Which methods are worth their cost: the Pareto front of cost against value."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def on_front(cost: ArrayLike, value: ArrayLike) -> NDArray[np.bool_]:
    """Whether no other method costs no more and is worth no less, with one of the two better.

    Parameters
    ----------
    cost : (n_methods,) array_like of float
        Lower is better.
    value : (n_methods,) array_like of float
        Higher is better.

    Returns
    -------
    (n_methods,) ndarray of bool
        Methods of equal cost and value are on the front together. It takes values as they are: a front of
        estimates is as uncertain as they are.

    Raises
    ------
    ValueError
        If lengths differ or a number is not finite.

    Examples
    --------
    >>> on_front([1, 2, 3, 4], [0.5, 0.7, 0.6, 0.9]).tolist()
    [True, True, False, True]
    """
    costs, values = np.asarray(cost, dtype=np.float64), np.asarray(value, dtype=np.float64)
    if costs.ndim != 1 or costs.shape != values.shape:
        raise ValueError(
            f"cost and value must be equally long lists, got shapes {costs.shape} and {values.shape}"
        )
    if not (np.isfinite(costs).all() and np.isfinite(values).all()):
        raise ValueError("cost and value must be finite; leave out methods that were not measured")
    no_worse = (costs[:, None] <= costs) & (values[:, None] >= values)
    better = (costs[:, None] < costs) | (values[:, None] > values)
    return np.asarray(~(no_worse & better).any(axis=0))
