"""What each sample's run must have left behind, read through Metaflow's client.

A check is a module named like its sample, with one function ``check``.  It runs
in a process of its own, because Metaflow reads its settings when it is
imported: ``python -m devstack.samples.checks SAMPLE FLOW/RUN < pods.json``.
"""
