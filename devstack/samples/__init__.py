"""The sample flows: one topic per file, each with a check of its results."""
