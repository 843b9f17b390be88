"""Airflow: compile a flow to a DAG file, deliver it, trigger and follow runs, delete it.

``deployer.py`` is the entry.
"""
