"""Clients of the Docker Engine."""
