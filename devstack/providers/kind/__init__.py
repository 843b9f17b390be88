"""Clusters made by kind in Docker."""
