"""The sample flows: one lesson a file, and a check of its results for each."""
