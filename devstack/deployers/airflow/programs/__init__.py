"""Programs that run inside Airflow's pods, with Airflow's Python.

Each is sent as text to a scheduler's pod (`scheduler_pod.py`), so it imports only the
standard library and Airflow, and nothing of devstack. It prints its result as JSON on
a line that starts with DEVSTACK_RESULT, since Airflow prints messages too.
"""
