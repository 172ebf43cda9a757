"""Training of one stage: what is trainable, the loop, its checkpoints."""
