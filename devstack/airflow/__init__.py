"""Airflow as a client sees it: its REST API, and what stands in its answers."""
