"""What Airflow's database needs before anything starts: tables, roles, the administrator."""

from __future__ import annotations

import os

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils import db
from airflow.utils.session import create_session
from sqlalchemy import text
from werkzeug.security import generate_password_hash

ADMINISTRATOR = "admin"
HASH = "pbkdf2:sha256:1000"


def prepare(mark: str) -> None:
    """Bring the database up to this Airflow, and leave ``mark`` in it; safe to call again.

    The administrator's password is that of the environment, also where the
    user is there already: it is the one that the stack tells people.
    """
    db.upgradedb()
    with get_application_builder() as builder:
        builder.add_permissions(update_perms=True)
        builder.sm.sync_roles()
        _ensure_administrator(builder.sm, os.environ["AIRFLOW_ADMIN_PASSWORD"])
    with create_session() as session:
        session.execute(text("DROP TABLE IF EXISTS devstack_setup"))
        session.execute(text("CREATE TABLE devstack_setup (mark text PRIMARY KEY)"))
        session.execute(text("INSERT INTO devstack_setup VALUES (:mark)"), {"mark": mark})


def _ensure_administrator(security: object, password: str) -> None:
    # Slow hashes are for passwords that people think up. This one is random, and
    # every request that carries it would cost a tenth of a second.
    hashed = generate_password_hash(password, method=HASH)
    user = security.find_user(ADMINISTRATOR)
    if user:
        user.password = hashed
        security.update_user(user)
        return
    made = security.add_user(
        ADMINISTRATOR,
        "devstack",
        "administrator",
        "admin@devstack.invalid",
        security.find_role("Admin"),
        hashed_password=hashed,
    )
    if not made:
        raise SystemExit("Airflow did not take the administrator")
