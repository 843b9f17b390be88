"""The lifecycle of a stack: one verb per file, and the steps that they share."""
