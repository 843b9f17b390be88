"""Argo Workflows: compile a flow to a template, deliver it, trigger and follow runs, delete it.

``deployer.py`` is the entry.
"""
