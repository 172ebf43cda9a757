"""The parts of the study `embedding_probe`, in the order of its run: what is probed, cells, summary."""
