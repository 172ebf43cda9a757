"""Experiments over stored features, and the `studies` command."""
