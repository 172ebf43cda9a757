"""Data sets of multiple-choice questions: records, readers, conversations, the bundled generator."""
