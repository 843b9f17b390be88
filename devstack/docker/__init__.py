"""The client of the Docker engine."""
