"""What `up`, `down`, `status` and `logs` do, one verb per file."""
