"""scikit-learn estimators for (question, option) rows with question families."""
