"""Errors that the deployers of several engines raise."""

from __future__ import annotations

from collections.abc import Iterable

from devstack.cron import ScheduleError
from devstack.errors import DevstackError, ExitStatus


def parameter_wrong(name: str, cause: str, remedy: str) -> DevstackError:
    """Return the error for a value that a parameter cannot have."""
    return DevstackError(
        f"invalid value for the parameter {name!r}",
        cause=cause,
        remedy=remedy,
        code="PARAMETER_WRONG",
        exit_status=ExitStatus.USAGE,
    )


def schedule_invalid(schedule: str, error: ScheduleError, presets: Iterable[str]) -> DevstackError:
    """Return the error for a value of ``--schedule`` that an engine does not evaluate so.

    Args:
        schedule: the value.
        error: what is wrong with it.
        presets: the words that are schedules.
    """
    return DevstackError(
        f"cannot use the schedule {schedule!r}",
        cause=str(error),
        remedy=f"{error.instead}; or use {', '.join(presets)} or none",
        code="SCHEDULE_INVALID",
        exit_status=ExitStatus.USAGE,
    )


def deployment_error(message: str, cause: str, remedy: str, code: str) -> DevstackError:
    """Return the error ``DEPLOYMENT_<code>`` for a name of a deployment."""
    return DevstackError(
        message,
        cause=cause,
        remedy=remedy,
        code=f"DEPLOYMENT_{code}",
        exit_status=ExitStatus.USAGE,
    )


def deployment_busy(
    engine: str, name: str, count: int, code: str = "DEPLOYMENT_BUSY"
) -> DevstackError:
    """Return the error for a deployment with active runs, which is to be deleted.

    Args:
        engine: the engine, as in ``devstack ENGINE delete``.
        name: the deployment.
        count: the number of its active runs.
        code: the error's code.
    """
    return DevstackError(
        f"cannot delete {name}",
        cause=f"{count} of its runs are active",
        remedy=f"wait until they end, or devstack {engine} delete --force {name}",
        code=code,
    )


def engine_missing(title: str, service: str, stack: str) -> DevstackError:
    """Return the error for a stack without an engine.

    Args:
        title: the engine's name in messages.
        service: the service, as in ``devstack up --with SERVICE``.
        stack: the stack's name.
    """
    return DevstackError(
        f"the stack has no {title}",
        cause="it is included on request only",
        remedy=f"devstack up --with {service} --name {stack}",
        code=f"{service.upper()}_DISABLED",
        exit_status=ExitStatus.USAGE,
    )
