"""One module per kind of estimator: the estimator and its search space."""
