"""LLaVA-Bench: a language model judges answers about images beside reference answers."""
