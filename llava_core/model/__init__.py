"""Vision tower, projector and language model, joined."""
