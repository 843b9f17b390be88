"""Images of users on the nodes of a stack: added, replaced, found by `devstack run`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import ExitStatus
from devstack.images.catalogue import IMAGES
from tests.e2e.test_user_flows import SMALL, write_flow
from tests.support.commandline import Devstack

pytestmark = pytest.mark.docker

APP = "devstack-test/app"

VERSIONS = """\
from metaflow import FlowSpec, kubernetes, step

APP = "{app}"

class VersionsFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.archived, self.computed, self.latest)

    @kubernetes(image="{app}:archived", {small})
    @step
    def archived(self):
        print("version", open("/opt/version").read())
        self.next(self.join)

    @kubernetes(image=APP + ":comp" + "uted", {small})
    @step
    def computed(self):
        print("version", open("/opt/version").read())
        self.next(self.join)

    @kubernetes(image=APP, {small})
    @step
    def latest(self):
        print("version", open("/opt/version").read())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    VersionsFlow()
"""


def docker(*argv: str) -> str:
    done = subprocess.run(["docker", *argv], capture_output=True, text=True, check=True)
    return done.stdout


def write_dockerfile(folder: Path, *lines: str) -> None:
    text = "\n".join([f"FROM {IMAGES['task'].reference}", *lines])
    (folder / "Dockerfile").write_text(text)


def build(folder: Path, tag: str, *lines: str) -> None:
    """Build an image upon the stack's task image."""
    write_dockerfile(folder, *lines)
    docker("build", "--quiet", "--tag", tag, str(folder))


@pytest.fixture(autouse=True)
def remove_images() -> Iterator[None]:
    """Remove the test's images from Docker."""
    yield
    names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{APP}*").split()
    subprocess.run(["docker", "rmi", "--force", *names], check=False, capture_output=True)


def version_flow(folder: Path, decorator: str) -> Path:
    body = """
    print('version', open('/opt/version').read())
    """
    return write_flow(folder, body, decorator)


def run(stack: Devstack, flow: Path, *options: str) -> str:
    done = stack.run("run", str(flow), *options)
    return done.stdout + done.stderr


def added(stack: Devstack) -> dict[str, str]:
    return {
        each["reference"]: each["state"] for each in stack.json("images", "list")["data"]["added"]
    }


def failure(stack: Devstack, *argv: str, status: int = ExitStatus.USAGE) -> dict[str, Any]:
    done = stack.run(*argv, "--json", check=False)
    assert done.returncode == status, done.stdout + done.stderr
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    return error


def test_a_run_uses_the_image_of_this_machine_also_after_a_rebuild(
    stack: Devstack, tmp_path: Path
) -> None:
    image = f"{APP}:1"
    flow = version_flow(tmp_path, f"@kubernetes(image={image!r}, {SMALL})")
    build(tmp_path, image, "USER root", "RUN echo first >/opt/version", "USER 1000:1000")
    assert stack.json("images", "add", image)["data"]["changed"]
    assert added(stack)[image] == "current"
    assert not stack.json("images", "add", image)["data"]["changed"]

    build(tmp_path, image, "USER root", "RUN echo second >/opt/version", "USER 1000:1000")
    assert added(stack)[image] == "outdated"
    output = run(stack, flow)
    assert f"Add {image} of this machine to the nodes" in output
    assert "version second" in output
    assert added(stack)[image] == "current"


def test_images_from_an_archive_a_dockerfile_and_of_computed_names_run(
    stack: Devstack, tmp_path: Path
) -> None:
    """Also one with the tag `latest`, which Kubernetes would pull for each pod."""
    version = ("USER root", "RUN echo {} >/opt/version", "USER 1000:1000")
    build(tmp_path, f"{APP}:archived", *(line.format("archived") for line in version))
    docker("save", "--output", str(tmp_path / "app.tar"), f"{APP}:archived")
    docker("rmi", f"{APP}:archived")
    stack.run("images", "add", str(tmp_path / "app.tar"))
    build(tmp_path, f"{APP}:computed", *(line.format("computed") for line in version))
    write_dockerfile(tmp_path, *(line.format("latest") for line in version))
    stack.run("images", "add", str(tmp_path / "Dockerfile"), "--tag", f"{APP}:latest")

    flow = tmp_path / "versions.py"
    flow.write_text(VERSIONS.format(app=APP, small=SMALL))
    output = run(stack, flow)
    for tag in ("archived", "computed", "latest"):
        assert f"version {tag}" in output
    assert f"Add {APP}:computed of this machine to the nodes" in output


def test_an_image_without_boto3_installs_it_or_is_named_as_the_cause(
    stack: Devstack, tmp_path: Path
) -> None:
    image = f"{APP}:bare"
    build(
        tmp_path, image, "USER root", "RUN python -m pip uninstall -y boto3 requests", "USER 1000"
    )
    flow = write_flow(tmp_path, "print('ran')", f"@kubernetes(image={image!r}, {SMALL})")
    # Pods may or may not reach a package index.
    done = stack.run("run", str(flow), "--json", check=False)
    error = json.loads(done.stdout)["error"]
    if error is not None:
        assert done.returncode == ExitStatus.FLOW_FAILED
        assert "the image lacks boto3 or requests, and pip cannot install them" in error["cause"]
        assert "FROM the stack's own" in error["remedy"]


def test_the_pull_policy_always_is_the_cause_and_the_remedy_works(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = write_flow(tmp_path, "pass", f"@kubernetes(image_pull_policy='Always', {SMALL})")
    error = failure(stack, "run", str(flow), status=ExitStatus.FLOW_FAILED)
    assert error["code"] == "IMAGE_PULL_FAILED"
    assert "imagePullPolicy Always" in error["cause"]
    assert 'set it to "IfNotPresent"' in error["remedy"]
    flow.write_text(flow.read_text().replace("'Always'", "'IfNotPresent'"))
    run(stack, flow)


def test_an_image_that_no_one_has_names_the_command_that_helps(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = write_flow(tmp_path, "pass", f"@kubernetes(image='{APP}:nowhere', {SMALL})")
    error = failure(stack, "run", str(flow), status=ExitStatus.FLOW_FAILED)
    assert error["code"] == "IMAGE_PULL_FAILED"
    assert f"`devstack images add {APP}:nowhere`" in error["remedy"]
    error = failure(stack, "images", "add", f"{APP}:nowhere")
    assert error["code"] == "IMAGE_NOT_FOUND"
    assert f"docker build --tag {APP}:nowhere ." in error["remedy"]
    build(tmp_path, f"{APP}:nowhere", "ENV A=1")
    assert stack.json("images", "add", f"{APP}:nowhere")["data"]["changed"]


@pytest.fixture
def registry(stack: Devstack) -> Iterator[str]:
    """The address of the stack's registry, which is removed afterwards."""
    stack.run("up", "--with", "registry", timeout=3600)
    yield stack.json("status")["data"]["urls"]["registry"].removeprefix("http://")
    stack.run("up", "--without", "registry")


def test_nodes_pull_what_is_pushed_to_the_registry(
    stack: Devstack, registry: str, tmp_path: Path
) -> None:
    image = f"{registry}/{APP}:pushed"
    build(tmp_path, image, "USER root", "RUN echo pushed >/opt/version", "USER 1000:1000")
    docker("push", image)
    docker("rmi", image)
    flow = version_flow(
        tmp_path, f"@kubernetes(image={image!r}, image_pull_policy='Always', {SMALL})"
    )
    assert "version pushed" in run(stack, flow)
    assert image not in added(stack)
    assert stack.json("up")["data"]["changed"] == []
