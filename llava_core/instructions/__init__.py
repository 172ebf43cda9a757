"""Instruction data out of captions and boxes: LLaVA's three kinds, written by a language model."""
