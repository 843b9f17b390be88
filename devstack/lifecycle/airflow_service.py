"""The installation of Airflow that a command works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import has_celery
from devstack.errors import DevstackError, ExitStatus
from devstack.services.airflow.dag_delivery import delivery
from devstack.services.airflow.service import AirflowService
from devstack.services.base import Service
from devstack.stack import Stack, require_up


def require_airflow(stack: Stack) -> Service:
    """Return the service of the installation that the stack selects.

    Raises:
        DevstackError: ``STACK_DOWN``, ``AIRFLOW_DISABLED`` if the stack has no Airflow, or
            ``INSTALLATION_UNKNOWN``.
    """
    require_up(stack)
    name = stack.installation.named(AirflowService.name)
    service = next((each for each in stack.services if each.name == name), None)
    if service is None:
        raise _unknown_installation(stack) if stack.installation.prefix else _disabled(stack)
    return service


def installation_settings(stack: Stack) -> Mapping[str, Any]:
    """Return the settings of the installation that the stack selects."""
    return stack.installation.settings(stack.state.airflow)


def require_delivery(stack: Stack, way: str, what: str) -> None:
    """Raise ``DAGS_ELSEWHERE`` unless the selected installation gets its DAG files this way.

    Args:
        stack: the stack.
        way: the value of the setting ``dags``; not "deploy".
        what: what cannot be done otherwise.
    """
    found = delivery(installation_settings(stack))
    if found == way:
        return
    name = stack.installation.prefix
    remedy = f'set dags = "{way}" in the table [airflow] of devstack.toml, then devstack up'
    if name:
        # Only the first installation has another delivery.
        remedy = f"devstack airflow --installation {name} deploy FLOW.py"
    of = f" of the installation {name!r}" if name else ""
    raise DevstackError(
        what,
        cause=f'the DAG files{of} come from elsewhere: dags = "{found}"',
        remedy=remedy,
        code="DAGS_ELSEWHERE",
        exit_status=ExitStatus.USAGE,
    )


def require_celery(stack: Stack, what: str) -> None:
    """Raise ``CELERY_DISABLED`` unless the selected installation has an executor of Celery.

    Args:
        stack: the stack.
        what: what is missing otherwise.
    """
    installation = stack.installation
    if has_celery(installation_settings(stack)):
        return
    table = f"airflow.installations.{installation.prefix}" if installation.prefix else "airflow"
    raise DevstackError(
        what,
        cause="Airflow's executor is not one of Celery",
        remedy=f'set executor = "CeleryExecutor" in the table [{table}] of devstack.toml, then '
        "devstack up",
        code="CELERY_DISABLED",
        exit_status=ExitStatus.USAGE,
    )


def _disabled(stack: Stack) -> DevstackError:
    return DevstackError(
        "Airflow is disabled on this stack",
        cause="the stack was created without it",
        remedy=f"devstack up --with airflow --name {stack.spec.name}",
        code="AIRFLOW_DISABLED",
        exit_status=ExitStatus.USAGE,
    )


def _unknown_installation(stack: Stack) -> DevstackError:
    names = sorted(stack.state.airflow.get("installations", {}))
    return DevstackError(
        f"Airflow has no installation {stack.installation.prefix!r} on this stack",
        cause=f"its further installations are {', '.join(names) or 'none'}",
        remedy="add the table [airflow.installations.NAME] to devstack.toml, then `devstack up`",
        code="INSTALLATION_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )
