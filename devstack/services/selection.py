"""Which services a stack includes, and their order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from devstack.errors import DevstackError, ExitStatus
from devstack.services.base import Service
from devstack.validation import closest_match


def sort_by_dependencies(services: Sequence[Service]) -> list[Service]:
    """Return the services, each after those that it needs, otherwise in the given order.

    Raises:
        DevstackError: ``SERVICE_UNKNOWN`` if one needs a service that is not among
            them, ``SERVICE_CYCLE`` naming the cycle.
    """
    by_name = {service.name: service for service in services}
    _require_needs_known(by_name)
    ordered: dict[str, Service] = {}
    while len(ordered) < len(by_name):
        missing = [service for service in services if service.name not in ordered]
        ready = [service for service in missing if ordered.keys() >= set(service.needs)]
        if not ready:
            raise _cycle(by_name, missing[0], ordered.keys())
        ordered[ready[0].name] = ready[0]
    return list(ordered.values())


def disabled_services(
    services: Sequence[Service],
    *,
    without: Collection[str] = (),
    included: Collection[str] = (),
    saved_without: Collection[str] = (),
    saved_included: Collection[str] = (),
) -> tuple[str, ...]:
    """Return the names of the services that a stack leaves out.

    Args:
        services: all services.
        without: names that the user leaves out now.
        included: names that the user includes now; what they need comes with them.
        saved_without: names that the stack was brought up without. A service that
            needs one of them is left out too: older releases recorded only the first.
        saved_included: services off by default that the stack was brought up with.

    Raises:
        DevstackError: ``SERVICE_UNKNOWN``, ``SERVICE_REQUIRED`` or ``SERVICE_CONFLICT``.
    """
    for name in (*without, *included):
        _require_optional(services, name)
    wanted = _dependencies(services, included)
    _require_no_conflict(services, without, included)
    off = {service.name for service in services if not service.enabled_by_default}
    known = {service.name for service in services}
    saved = (_dependants(services, saved_without) & known) | (off - {*saved_included})
    return tuple(sorted({*without} | (saved - wanted)))


def required_services(
    services: Sequence[Service],
    disabled: Collection[str],
    tables: Sequence[Mapping[str, Any]],
    *,
    without: Collection[str] = (),
) -> tuple[str, ...]:
    """Return the names of services that are left out although the settings require them.

    Args:
        services: all services.
        disabled: names of those that are left out.
        tables: the settings of each installation of Airflow that the stack includes.
        without: names that the user leaves out now.

    Raises:
        DevstackError: ``SERVICE_NEEDED``, with the setting, if one of them is in ``without``.
    """
    reasons = {each.name: _reason(each, tables) for each in services}
    for name in without:
        if reasons[name]:
            raise DevstackError(
                f"cannot leave out {name}",
                cause=f"Airflow's setting {reasons[name]} needs it",
                remedy="change that setting in the table [airflow], or add --without airflow",
                code="SERVICE_NEEDED",
                exit_status=ExitStatus.USAGE,
            )
    return tuple(name for name in disabled if reasons[name])


def _reason(service: Service, tables: Sequence[Mapping[str, Any]]) -> str:
    return next(filter(None, (service.required_by(table) for table in tables)), "")


def require_dependencies(services: Sequence[Service], without: Collection[str]) -> None:
    """Reject leaving out a service that an included one needs.

    Raises:
        DevstackError: ``SERVICE_NEEDED``, with the flags to add.
    """
    for name in without:
        dependants = sorted(_dependants(services, [name]) - {*without})
        if dependants:
            verb = "needs" if len(dependants) == 1 else "need"
            flags = " ".join(f"--without {each}" for each in dependants)
            raise DevstackError(
                f"cannot leave out {name}",
                cause=f"{' and '.join(dependants)} {verb} it",
                remedy=f"add {flags}",
                code="SERVICE_NEEDED",
                exit_status=ExitStatus.USAGE,
            )


def enabled_services(services: Sequence[Service], disabled: Collection[str]) -> list[Service]:
    """Return the services that are neither disabled nor need one that is."""
    excluded = _dependants(services, disabled)
    return [service for service in services if service.name not in excluded]


def optional_names(services: Iterable[Service]) -> list[str]:
    """Return the names of the optional services, sorted."""
    return sorted(service.name for service in services if service.optional)


def _dependencies(services: Sequence[Service], names: Collection[str]) -> set[str]:
    """Return ``names`` and all that they need, directly or not."""
    found = {*names}
    while more := {need for each in services if each.name in found for need in each.needs} - found:
        found |= more
    return found


def _dependants(services: Sequence[Service], names: Collection[str]) -> set[str]:
    """Return ``names`` and all that need one of them, directly or not."""
    found = {*names}
    while more := {each.name for each in services if found & {*each.needs}} - found:
        found |= more
    return found


def _require_optional(services: Sequence[Service], name: str) -> None:
    optional = optional_names(services)
    remedy = f"optional services are {', '.join(optional)}"
    if name in {service.name for service in services} - {*optional}:
        raise DevstackError(
            f"cannot leave out {name}",
            cause="every stack has this service",
            remedy=remedy,
            code="SERVICE_REQUIRED",
            exit_status=ExitStatus.USAGE,
        )
    if name not in optional:
        closest = closest_match(name, optional)
        raise DevstackError(
            f"there is no service {name!r}",
            cause=f"did you mean {closest!r}?" if closest else "",
            remedy=remedy,
            code="SERVICE_UNKNOWN",
            exit_status=ExitStatus.USAGE,
        )


def _require_no_conflict(
    services: Sequence[Service], without: Collection[str], included: Collection[str]
) -> None:
    for name in included:
        if name in without:
            raise _conflict(name, "it is left out at the same time", "drop --with or --without")
        for missing in sorted(_dependencies(services, [name]) & {*without}):
            raise _conflict(
                name,
                f"it needs {missing}, which is left out",
                f"include {missing} too: --with {missing}",
            )


def _conflict(name: str, cause: str, remedy: str) -> DevstackError:
    return DevstackError(
        f"cannot include {name}",
        cause=cause,
        remedy=remedy,
        code="SERVICE_CONFLICT",
        exit_status=ExitStatus.USAGE,
    )


def _require_needs_known(by_name: dict[str, Service]) -> None:
    for service in by_name.values():
        for need in service.needs:
            if need not in by_name:
                raise DevstackError(
                    f"cannot order service {service.name!r}",
                    cause=f"it needs {need!r}; the services are {', '.join(sorted(by_name))}",
                    code="SERVICE_UNKNOWN",
                    exit_status=ExitStatus.USAGE,
                )


def _cycle(by_name: dict[str, Service], start: Service, done: Collection[str]) -> DevstackError:
    path = [start.name]
    while path.count(path[-1]) < 2:
        path.append(next(need for need in by_name[path[-1]].needs if need not in done))
    cycle = path[path.index(path[-1]) :]
    return DevstackError(
        "cannot order the services",
        cause=f"their dependencies form a cycle: {' -> '.join(cycle)}",
        code="SERVICE_CYCLE",
        exit_status=ExitStatus.USAGE,
    )
