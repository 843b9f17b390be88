"""Deployers turn a flow into something a workflow engine runs."""
