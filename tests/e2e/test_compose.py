"""compose.yaml, brought up for real: object storage and a database with no cluster."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from minio import Minio
from testcontainers.compose import DockerCompose

from devstack.paths import project_file
from devstack.ports import LOOPBACK, any_free
from tests.e2e.compose_plugin import docker_has_compose, plugin_folder
from tests.support.commandline import Devstack

pytestmark = pytest.mark.docker

PROJECT = "devstack-compose-test"


PORTS = ("MINIO_PORT", "MINIO_CONSOLE_PORT", "POSTGRES_PORT")
CREDENTIALS = ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "POSTGRES_PASSWORD")


def make_settings() -> dict[str, str]:
    """Return the contents of a user's .env, with free ports."""
    ports: list[int] = []
    for _ in PORTS:
        ports.append(any_free(set(ports)))
    return {
        **dict(zip(PORTS, map(str, ports), strict=True)),
        **{name: secrets.token_urlsafe(16) for name in CREDENTIALS},
    }


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return make_settings()


@pytest.fixture(scope="module")
def docker_compose() -> Iterator[None]:
    """Install the compose plug-in for this process's ``docker`` if it has none."""
    with pytest.MonkeyPatch.context() as environment:
        if not docker_has_compose():
            environment.setenv("DOCKER_CONFIG", str(plugin_folder()))
        yield


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Build the images as described at the top of compose.yaml."""
    home = tmp_path_factory.mktemp("images")
    Devstack("compose", home).run("images", "build", "minio", "postgres", timeout=1800)


@contextmanager
def up(project: str, settings: dict[str, str]) -> Iterator[DockerCompose]:
    """Start a separate project, wait until it is healthy, and remove it at the end."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COMPOSE_PROJECT_NAME", project)
        for name, value in settings.items():
            environment.setenv(name, value)
        with DockerCompose(project_file(), compose_file_name="compose.yaml") as running:
            yield running


@pytest.fixture(scope="module")
def compose(
    images: None, docker_compose: None, settings: dict[str, str]
) -> Iterator[DockerCompose]:
    with up(PROJECT, settings) as running:
        yield running


def objects_of(project: str) -> list[str]:
    """Return all that Docker has of a project: containers, volumes, networks."""
    found = []
    for kind in (["container", "ls", "--all"], ["volume", "ls"], ["network", "ls"]):
        mine = ["--quiet", "--filter", f"label=com.docker.compose.project={project}"]
        listed = subprocess.run(["docker", *kind, *mine], capture_output=True, check=True)
        found += listed.stdout.decode().split()
    return found


def client(settings: dict[str, str]) -> Minio:
    return Minio(
        f"{LOOPBACK}:{settings['MINIO_PORT']}",
        access_key=settings["MINIO_ROOT_USER"],
        secret_key=settings["MINIO_ROOT_PASSWORD"],
        secure=False,
    )


def query(compose: DockerCompose, sql: str) -> str:
    """Run ``sql`` over the network, with the password, as a client would."""
    command = f'PGPASSWORD="$POSTGRES_PASSWORD" psql -h postgres -U metaflow -Atc "{sql}"'
    stdout, _, _ = compose.exec_in_container(["sh", "-c", command], "postgres")
    return stdout.strip()


def test_an_object_is_written_and_read(compose: DockerCompose, settings: dict[str, str]) -> None:
    store, data = client(settings), secrets.token_bytes(1 << 20)
    store.make_bucket(bucket_name="flows")
    store.put_object(
        bucket_name="flows", object_name="data", data=io.BytesIO(data), length=len(data)
    )
    assert store.get_object(bucket_name="flows", object_name="data").data == data


def test_the_console_answers(compose: DockerCompose, settings: dict[str, str]) -> None:
    url = f"http://{LOOPBACK}:{settings['MINIO_CONSOLE_PORT']}/"
    assert requests.get(url, timeout=10).status_code == requests.codes.ok


def test_a_query_is_answered(compose: DockerCompose) -> None:
    assert query(compose, "SELECT current_user, 6 * 7") == "metaflow|42"


def test_data_outlives_the_containers(compose: DockerCompose, settings: dict[str, str]) -> None:
    store = client(settings)
    store.make_bucket(bucket_name="kept")
    query(compose, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)")
    compose._run_command([*compose.docker_compose_command(), "down"])
    compose.start()
    assert store.bucket_exists(bucket_name="kept")
    assert query(compose, "SELECT id FROM kept") == "7"


@pytest.mark.parametrize("service", ["minio", "postgres"])
def test_a_service_runs_as_an_ordinary_user(compose: DockerCompose, service: str) -> None:
    container = compose.get_container(service).ID
    assert container
    listed = subprocess.run(
        ["docker", "top", container, "-eo", "pid,uid"], capture_output=True, text=True, check=True
    )
    users = {line.split()[1] for line in listed.stdout.splitlines()[1:]}
    assert users
    assert "0" not in users


def test_ports_are_open_on_loopback_only(compose: DockerCompose) -> None:
    published = [port for each in compose.get_containers() for port in each.Publishers]
    assert {port.URL for port in published if port.PublishedPort} == {LOOPBACK}


@pytest.mark.parametrize("missing", CREDENTIALS)
def test_a_missing_credential_is_named(
    docker_compose: None, settings: dict[str, str], missing: str
) -> None:
    environment = {**os.environ, **settings}
    del environment[missing]
    refused = subprocess.run(
        ["docker", "compose", "config"],
        cwd=project_file(),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert missing in refused.stderr


def test_down_leaves_nothing(images: None, docker_compose: None) -> None:
    project = f"{PROJECT}-down"
    with up(project, make_settings()):
        assert objects_of(project)
    assert objects_of(project) == []
