"""A registry that only a mirror setting reaches, with a private authority and a login."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from devstack.errors import ExitStatus
from devstack.images.catalogue import IMAGES
from tests.e2e.test_user_flows import SMALL
from tests.support.cluster import node
from tests.support.commandline import Devstack
from tests.support.registry import Registry

pytestmark = pytest.mark.docker

APP = "devstack-test/mirrored:1"
SAME = "devstack-test/same:1"
"""The stack's own task image, under another name."""
USER, PASSWORD = "reader", "a:b c"


class Machine(Devstack):
    """The stack's machine, with a Docker configuration of its own."""

    def __init__(self, stack: Devstack, folder: Path) -> None:
        # Settings of pip and others remain, since `up` passes them on to pods.
        for each in Path.home().glob(".*"):
            if each.name != ".docker":
                (folder / each.name).symlink_to(each)
        self.docker = folder / ".docker"
        self.docker.mkdir()
        variables = {"HOME": str(folder), "DOCKER_CONFIG": str(self.docker)}
        super().__init__(stack.name, stack.home, {**stack.environment, **variables})

    def trust(self, registry: Registry) -> None:
        """Trust a registry's authority."""
        folder = self.docker / "certs.d" / registry.host
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(registry.authority.read_bytes())

    def log_in(self, registry: Registry) -> None:
        """Log Docker in to a registry."""
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (self.docker / "config.json").write_text(
            json.dumps({"auths": {registry.host: {"auth": auth}}})
        )

    def failure(self, *argv: str, status: int) -> dict[str, Any]:
        """Return the error of a command."""
        done = self.run(*argv, "--json", check=False)
        assert done.returncode == status, done.stdout + done.stderr
        error: dict[str, Any] = json.loads(done.stdout)["error"]
        return error


@pytest.fixture(scope="module")
def registry(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that nodes reach, with an image that Docker lacks."""
    folder = tmp_path_factory.mktemp("registry")
    network = docker.from_env().networks.list(names=[f"devstack-{stack.name}"])[0]
    gateway = next(
        each["Gateway"] for each in network.attrs["IPAM"]["Config"] if "." in each["Subnet"]
    )
    dockerfile = f"FROM {IMAGES['task'].reference}\nUSER root\nRUN echo mirrored >/opt/version\n"
    build = ["docker", "build", "--quiet", "--tag", APP, "-"]
    subprocess.run(build, input=dockerfile, text=True, check=True, capture_output=True)
    with Registry(folder, users={USER: PASSWORD}, address=gateway) as made:
        made.add(APP, f"hub/{APP}")
        made.add(IMAGES["task"].reference, f"hub/{SAME}")
        subprocess.run(["docker", "rmi", APP], check=True, capture_output=True)
        yield made


@pytest.fixture
def machine(stack: Devstack, tmp_path: Path) -> Iterator[Machine]:
    """The machine; at the end, the stack is as it was."""
    made = Machine(stack, tmp_path)
    yield made
    made.run("images", "logout")
    made.run("up", "--mirror", "docker.io=")
    forget_images(stack)


def forget_images(stack: Devstack) -> None:
    """Remove the images from the node."""
    names = [f"docker.io/{each}" for each in (APP, SAME)]
    node(stack).exec_run(["ctr", "-n", "k8s.io", "images", "rm", *names])


FLOW = f"""\
from metaflow import FlowSpec, kubernetes, step

class MirroredFlow(FlowSpec):
    @kubernetes(image="docker.io/{APP}", {SMALL})
    @step
    def start(self):
        print("image", open("/opt/version").read())
        self.next(self.same)

    @kubernetes(image="{SAME}", {SMALL})
    @step
    def same(self):
        self.next(self.end)

    @step
    def end(self):
        print("the stack's own image is still there")

if __name__ == "__main__":
    MirroredFlow()
"""


def test_a_flows_image_comes_through_the_mirror_that_is_set_with_a_login(
    stack: Devstack, registry: Registry, machine: Machine, tmp_path: Path
) -> None:
    file = tmp_path / "mirrored.py"
    file.write_text(FLOW)
    flow = str(file)
    mirror = ("--mirror", f"docker.io={registry.host}/hub")
    changed = machine.json("up", *mirror)["data"]["changed"]
    assert "registries" in changed
    assert "cluster" not in changed

    error = machine.failure("run", flow, status=ExitStatus.FLOW_FAILED)
    assert error["code"] == "IMAGE_PULL_FAILED"
    assert "x509" in error["cause"]
    assert f"~/.docker/certs.d/{registry.host}/ca.crt" in error["remedy"]

    machine.trust(registry)
    assert machine.json("up")["data"]["changed"] == ["registries"]
    error = machine.failure("run", flow, status=ExitStatus.FLOW_FAILED)
    assert "devstack images login docker.io" in error["remedy"]
    error = machine.failure("images", "login", "docker.io", status=ExitStatus.ENVIRONMENT)
    assert error["code"] == "LOGIN_MISSING"
    assert f"docker login {registry.host}" in error["remedy"]

    machine.log_in(registry)
    known = machine.json("images", "login", "docker.io")["data"]["registries"]
    assert known == sorted(["docker.io", registry.host])
    done = machine.run("run", flow)
    assert "image mirrored" in done.stdout
    assert "own image is still there" in done.stdout
    assert machine.json("up")["data"]["changed"] == []

    forget_images(stack)
    assert "registries" in machine.json("up", "--mirror", "docker.io=")["data"]["changed"]
    error = machine.failure("run", flow, status=ExitStatus.FLOW_FAILED)
    assert registry.host not in error["cause"]
    assert "docker.io" in error["remedy"]

    secret = ("get", "secret", "devstack-registries", "-n", "metaflow")
    assert machine.kubectl(*secret).returncode != 0
    files = [each for each in machine.directory.rglob("*") if each.is_file()]
    assert not [each for each in files if PASSWORD.encode() in each.read_bytes()]
    assert PASSWORD not in done.stdout + done.stderr
