"""The services of a stack, and the order in which they come up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from devstack.errors import DevstackError, ExitStatus
from devstack.services.airflow.service import AirflowService
from devstack.services.base import Service
from devstack.services.gang import GangService
from devstack.services.jobset import JobSetService
from devstack.services.metadata import MetadataService
from devstack.services.minio import MinioService
from devstack.services.postgres import PostgresService
from devstack.services.rbac import RbacService
from devstack.services.samples import Samples

SERVICES: tuple[Service, ...] = (
    RbacService(),
    MinioService(),
    PostgresService(),
    JobSetService(),
    GangService(),
    MetadataService(),
    AirflowService(),
    Samples(),
)
"""All services, each after those that it needs.

Those of one layer are applied in this order, and only then waited for: RBAC
first, for its namespace (its token takes the cluster seconds to make, in which
others start), then MinIO, whose volume takes longest.
"""


OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "postgres": (),
    "metadata": ("postgres",),
    "airflow": ("postgres",),
}
"""Services that a stack can do without, and the optional ones that each is nothing without."""


def chosen(without: Collection[str]) -> tuple[Service, ...]:
    """Return the services of a stack that leaves out some, and those that need them.

    Args:
        without: names of optional services.
    """
    return tuple(
        service
        for service in SERVICES
        if not {service.name, *OPTIONAL.get(service.name, ())} & set(without)
    )


def layers(services: Sequence[Service]) -> list[list[Service]]:
    """Return the services in layers: each needs none but those of earlier layers.

    Args:
        services: in any order.

    Raises:
        DevstackError: ``SERVICE_UNKNOWN`` where one needs a service that is
            not among them, ``SERVICE_CYCLE`` naming the way round.
    """
    by_name = {service.name: service for service in services}
    _require_known(by_name)
    done: set[str] = set()
    found: list[list[Service]] = []
    while len(done) < len(by_name):
        layer = [s for s in services if s.name not in done and done.issuperset(s.needs)]
        if not layer:
            raise _cycle(by_name, next(s for s in services if s.name not in done), done)
        found.append(layer)
        done |= {service.name for service in layer}
    return found


def _require_known(by_name: dict[str, Service]) -> None:
    for service in by_name.values():
        for need in service.needs:
            if need not in by_name:
                raise DevstackError(
                    f"cannot bring up service {service.name!r}",
                    cause=f"it needs {need!r}, and the services are {', '.join(sorted(by_name))}",
                    code="SERVICE_UNKNOWN",
                    exit_status=ExitStatus.USAGE,
                )


def _cycle(by_name: dict[str, Service], start: Service, done: set[str]) -> DevstackError:
    path = [start.name]
    while path.count(path[-1]) < 2:
        path.append(next(need for need in by_name[path[-1]].needs if need not in done))
    way = path[path.index(path[-1]) :]
    return DevstackError(
        "cannot order the services",
        cause=f"they need each other in a circle: {' -> '.join(way)}",
        code="SERVICE_CYCLE",
        exit_status=ExitStatus.USAGE,
    )
