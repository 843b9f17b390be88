from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from devstack.images.catalogue import IMAGES
from devstack.paths import project_file
from devstack.services import SERVICES

COMPOSE: dict[str, Any] = yaml.safe_load(project_file("compose.yaml").read_text())
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def with_defaults(text: str) -> str:
    """Return ``text`` with each variable replaced by its default."""
    return DEFAULT.sub(r"\1", text)


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_ports_are_on_loopback(service: str) -> None:
    for port in COMPOSE["services"][service]["ports"]:
        assert port.startswith("127.0.0.1:")


def test_minio_has_the_ports_that_a_stack_prefers() -> None:
    (minio,) = [service for service in SERVICES if service.name == "minio"]
    ports = [with_defaults(port).split(":")[1] for port in COMPOSE["services"]["minio"]["ports"]]
    assert ports == [str(port.preferred) for port in minio.host_ports]


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_images_are_those_of_the_catalogue(service: str) -> None:
    image = with_defaults(COMPOSE["services"][service]["image"])
    assert image == IMAGES[service].reference


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_credentials_have_no_default(service: str) -> None:
    for name, value in COMPOSE["services"][service]["environment"].items():
        if name.endswith(("PASSWORD", "ROOT_USER")):
            assert value.startswith(f"${{{name}:?")


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_service_has_a_health_check(service: str) -> None:
    assert COMPOSE["services"][service]["healthcheck"]["test"]
