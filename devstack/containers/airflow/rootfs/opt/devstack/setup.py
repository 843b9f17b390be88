"""Set up Airflow's database: schema, roles and the administrator."""

from __future__ import annotations

import os

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils import db
from airflow.utils.session import create_session
from sqlalchemy import text
from werkzeug.security import generate_password_hash

ADMINISTRATOR = "admin"
HASH = "pbkdf2:sha256:1000"


def prepare(setup_id: str) -> None:
    """Migrate the database to this Airflow, and record ``setup_id`` in it; idempotent.

    The password of an existing administrator is reset to the one in the environment.
    """
    db.upgradedb()
    with get_application_builder() as builder:
        builder.add_permissions(update_perms=True)
        builder.sm.sync_roles()
        _ensure_administrator(builder.sm, os.environ["AIRFLOW_ADMIN_PASSWORD"])
    if "AIRFLOW__CELERY__BROKER_URL" in os.environ:
        _create_result_tables()
    with create_session() as session:
        session.execute(text("DROP TABLE IF EXISTS devstack_setup"))
        session.execute(text("CREATE TABLE devstack_setup (mark text PRIMARY KEY)"))
        session.execute(text("INSERT INTO devstack_setup VALUES (:mark)"), {"mark": setup_id})


def _create_result_tables() -> None:
    """Create the tables of Celery's results: several workers at once would fail to."""
    from airflow.providers.celery.executors.celery_executor_utils import app
    from celery.backends.database import DatabaseBackend

    # `[celery] result_backend` may name another one, which has no tables.
    if isinstance(app.backend, DatabaseBackend):
        app.backend.ResultSession().close()


def _ensure_administrator(security: object, password: str) -> None:
    # Slow hashes protect passwords that people choose. This one is random, and its
    # verification would cost each API request a tenth of a second.
    hashed = generate_password_hash(password, method=HASH)
    user = security.find_user(ADMINISTRATOR)
    if user:
        user.password = hashed
        security.update_user(user)
        return
    created = security.add_user(
        ADMINISTRATOR,
        "devstack",
        "administrator",
        "admin@devstack.invalid",
        security.find_role("Admin"),
        hashed_password=hashed,
    )
    if not created:
        raise SystemExit("Airflow rejected the administrator")
