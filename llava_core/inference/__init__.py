"""Answers from a trained model: option log-likelihoods, generation, parsing."""
