"""Images that are made of containers, by a real engine."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.docker.addition import ImageAddition
from devstack.docker.client import DockerClient
from devstack.process import SubprocessRunner

pytestmark = pytest.mark.docker

BASE, ADDED, CHANGED = (f"devstack-tests/variables-{each}:1" for each in ("base", "add", "change"))
SECRET = "hidden-password"


@pytest.fixture
def base() -> Iterator[str]:
    """An image with this machine's bash only."""
    libraries = subprocess.run(["ldd", "/bin/bash"], capture_output=True, text=True, check=True)
    files = ["/bin/bash", *re.findall(r"(/\S+) \(0x", libraries.stdout)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for file in files:
            tar.add(Path(file).resolve(), file)
    command = ["docker", "import", "--change", "ENV PATH=/bin", "-", BASE]
    subprocess.run(command, input=packed.getvalue(), check=True, capture_output=True)
    yield BASE
    subprocess.run(["docker", "rmi", BASE, ADDED, CHANGED], capture_output=True, check=False)


def test_an_image_has_no_proxy_of_the_users_configuration(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"http://me:{SECRET}@proxy.corp:3128"
    configured = {"proxies": {"default": {"httpProxy": proxy, "httpsProxy": proxy}}}
    (tmp_path / "config.json").write_text(json.dumps(configured))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    files = tmp_path / "files.tar"
    with tarfile.open(files, "w"):
        pass
    runner = SubprocessRunner()
    name = "devstack-image-builder-variables"
    ImageAddition(runner, name).build(base, ADDED, files, "true", ["ENV OWN=1"])
    DockerClient(runner, "variables").change(base, "true", tmp_path, CHANGED, ["ENV OWN=1"])
    inspect = ["docker", "image", "inspect", ADDED, CHANGED]
    found = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
    assert [image["Config"]["Env"] for image in json.loads(found)] == [["PATH=/bin", "OWN=1"]] * 2
    assert SECRET not in found
