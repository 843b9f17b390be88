"""Starts one part of Airflow, once the database is there and has Airflow's tables.

python3 start.py setup | scheduler | triggerer | webserver
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from pathlib import Path

import psycopg2

POLL_SECONDS = 0.3
SAY_SECONDS = 10.0
COMMANDS = {
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    # Airflow's own command loads the application in three processes, and needs one.
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


def main(part: str) -> None:
    """Start ``part``; for all but "setup" the process becomes it."""
    for folder in ("dags", "logs"):
        (Path(os.environ["AIRFLOW_HOME"]) / folder).mkdir(exist_ok=True)
    if part == "setup":
        await_database(is_prepared=False)
        # Here alone: it takes a second to import.
        from setup import prepare

        prepare(wanted_setup())
        return
    await_database(is_prepared=True)
    os.environ["DEVSTACK_AIRFLOW_PART"] = part
    os.execvp(sys.executable, [sys.executable, "-m", *COMMANDS[part]])  # noqa: S606


def wanted_setup() -> str:
    """Return the mark of the set-up to wait for; where none is named, Airflow's version."""
    return os.environ.get("DEVSTACK_SETUP") or importlib.metadata.version("apache-airflow")


def await_database(is_prepared: bool) -> None:
    """Wait until the database answers; with ``is_prepared``, until `setup` is through."""
    said = 0.0
    while problem := _problem(is_prepared):
        if time.monotonic() - said > SAY_SECONDS:
            print(f"waiting for the database: {problem}", flush=True)  # noqa: T201
            said = time.monotonic()
        time.sleep(POLL_SECONDS)


def _problem(is_prepared: bool) -> str:
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    try:
        connection = psycopg2.connect(url, connect_timeout=3)
    except psycopg2.OperationalError as error:
        return str(error).strip()
    try:
        with connection, connection.cursor() as cursor:
            if is_prepared:
                cursor.execute("SELECT 1 FROM devstack_setup WHERE mark = %s", [wanted_setup()])
                return "" if cursor.fetchone() else "its set-up is not through"
            return ""
    except psycopg2.Error as error:
        return str(error).strip().splitlines()[0]
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
