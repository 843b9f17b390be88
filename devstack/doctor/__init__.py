"""What can be wrong, and what to do about it."""
