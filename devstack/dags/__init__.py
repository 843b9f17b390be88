"""Flows as DAGs: compiled, refused where Airflow cannot, delivered, run and watched."""
