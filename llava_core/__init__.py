"""LLaVA in two stages: data, model, training, inference, evaluation, feature extraction."""
