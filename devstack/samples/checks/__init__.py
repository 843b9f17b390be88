"""Checks of the results of each sample, through Metaflow's client.

A check is a module with the name of its sample's file and a function ``check``.  It runs in
a process of its own, because Metaflow reads its settings when it is imported:
``python -m devstack.samples.checks SAMPLE FLOW/RUN < pods.json``.
"""
