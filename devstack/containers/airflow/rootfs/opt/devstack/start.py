"""Start a component of Airflow after the database is reachable and set up.

python3 start.py setup | scheduler | triggerer | webserver | worker | flower | autoscaler
"""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import psycopg2

POLL_SECONDS = 0.3
LOG_SECONDS = 10.0
COMMANDS = {
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    "worker": ["celery_worker"],
    "autoscaler": ["autoscaler"],
    # Celery's program alone: Flower reads messages of workers, and needs no Airflow.
    "flower": ["celery", "flower", "--port=5555", "--address=0.0.0.0"],
    # `airflow webserver` loads the application in three processes.
    "webserver": [
        "gunicorn",
        "airflow.www.app:cached_app()",
        "--bind=0.0.0.0:8080",
        "--workers=1",
        "--worker-class=gthread",
        "--threads=8",
        "--timeout=120",
        "--worker-tmp-dir=/tmp",
        "--no-control-socket",
    ],
}


def main(component: str) -> None:
    """Run the setup, or replace this process by a component."""
    if component == "flower":
        execute(component)
    if component != "autoscaler":
        make_folders()
    if component == "setup":
        wait_for_database(is_prepared=False)
        # Not at the top: it takes a second to import.
        from setup import prepare

        prepare(expected_setup())
        return
    wait_for_database(is_prepared=True)
    if component == "scheduler":
        deactivate_dags_of_other_folders()
    execute(component)


def execute(component: str) -> NoReturn:
    """Replace this process by a component."""
    os.environ["DEVSTACK_AIRFLOW_PART"] = component
    os.execvp(sys.executable, [sys.executable, "-m", *COMMANDS[component]])  # noqa: S606


def make_folders() -> None:
    """Create the folders of DAG files and logs on the volume."""
    for folder in ("dags", "logs"):
        (Path(os.environ["AIRFLOW_HOME"]) / folder).mkdir(exist_ok=True)


def deactivate_dags_of_other_folders() -> None:
    """Hide the DAGs of a folder that DAG files came from before; their history stays.

    A scheduler only deactivates those of its own folder
    (airflow/dag_processing/manager.py, deactivate_stale_dags; airflow/models/dag.py,
    deactivate_deleted_dags): it would schedule the others without end, and none of their tasks
    would find its file.
    """
    with _connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE dag SET is_active = false WHERE is_active AND NOT starts_with(fileloc, %s)"
            " RETURNING dag_id",
            [f"{dags_folder()}/"],
        )
        dags = [dag for (dag,) in cursor.fetchall()]
        cursor.execute("DELETE FROM serialized_dag WHERE dag_id = ANY(%s)", [dags])
    connection.close()
    if dags:
        print(f"DAGs whose files are elsewhere: {', '.join(sorted(dags))}", flush=True)  # noqa: T201


def dags_folder() -> str:
    """Return the folder of DAG files, from Airflow's configuration."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read(os.environ["AIRFLOW_CONFIG"])
    return config["core"]["dags_folder"].rstrip("/")


def expected_setup() -> str:
    """Return the id of the setup to wait for; Airflow's version by default."""
    return os.environ.get("DEVSTACK_SETUP") or importlib.metadata.version("apache-airflow")


def wait_for_database(is_prepared: bool) -> None:
    """Wait until the database is reachable; with ``is_prepared``, until the setup is complete."""
    logged = 0.0
    while problem := _problem(is_prepared):
        if time.monotonic() - logged > LOG_SECONDS:
            print(f"waiting for the database: {problem}", flush=True)  # noqa: T201
            logged = time.monotonic()
        time.sleep(POLL_SECONDS)


def _problem(is_prepared: bool) -> str:
    try:
        connection = _connect()
    except psycopg2.OperationalError as error:
        return str(error).strip()
    try:
        with connection, connection.cursor() as cursor:
            if is_prepared:
                cursor.execute("SELECT 1 FROM devstack_setup WHERE mark = %s", [expected_setup()])
                return "" if cursor.fetchone() else "its setup is not complete"
            return ""
    except psycopg2.Error as error:
        return str(error).strip().splitlines()[0]
    finally:
        connection.close()


def _connect() -> psycopg2.extensions.connection:
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    return psycopg2.connect(url, connect_timeout=3)


if __name__ == "__main__":
    main(sys.argv[1])
