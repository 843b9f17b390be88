"""Client of Airflow's REST API: DAGs, runs, tasks, logs, pools and health."""
