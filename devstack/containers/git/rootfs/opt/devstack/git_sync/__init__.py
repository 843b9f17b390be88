"""Follows a branch of a Git repository, and serves its latest commit as a folder of DAG files."""
