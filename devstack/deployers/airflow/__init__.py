"""Deploy flows to Airflow: check, compile, deliver, trigger, follow, delete."""
