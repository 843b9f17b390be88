"""Airflow as a service of the stack."""
