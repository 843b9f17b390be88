"""What devstack asks of Podman, asked of a real one with a store of its own."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from devstack.docker.capabilities import withholds_sys_resource
from devstack.docker.client import CLUSTER_LABEL, ROLE_LABEL, DockerClient
from devstack.docker.engine import PODMAN
from devstack.docker.podman import with_engine
from devstack.docker.podman_client import engine_client
from devstack.docker.recognition import engine_faults, recognize
from devstack.docker.similar import build_similar
from devstack.errors import DevstackError
from devstack.images import ImageStore
from devstack.images.archive_reader import read_archive
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from tests.support.empty_docker import WRAPPER

NAME = "devstack-podman-test"
LABELS = {"devstack.test": "podman"}

pytestmark = pytest.mark.skipif(
    not shutil.which("podman") or os.geteuid() != 0, reason="podman is not installed, or no root"
)


def _limit(name: int) -> str:
    hard = resource.getrlimit(name)[1]
    return f"{hard}:{hard}"


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Podman's configuration: nothing of the user's own is used."""
    folder = tmp_path_factory.mktemp("podman")
    processes = min(resource.getrlimit(resource.RLIMIT_NPROC)[1], _pid_max())
    wrapper = f"""
        runtime = "devstack"
        [engine.runtimes]
        devstack = ["{WRAPPER}"]
        [containers]
        default_ulimits = [
          "nofile={_limit(resource.RLIMIT_NOFILE)}", "nproc={processes}:{processes}"
        ]"""
    (folder / "containers.conf").write_text(
        dedent(
            f"""\
        [network]
        network_backend = "netavark"
        network_config_dir = "{folder}/networks"
        [engine]
        cgroup_manager = "cgroupfs"
        events_logger = "none"
        static_dir = "{folder}/static"
        volume_path = "{folder}/volumes"
        tmp_dir = "{folder}/tmp\""""
        )
        + (dedent(wrapper) if withholds_sys_resource() else "")
    )
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        patch.delenv("CONTAINER_HOST", raising=False)
        patch.setattr("devstack.docker.podman_api._usual_sockets", list)
        yield
        subprocess.run(["podman", "rm", "--all", "--force", "--time", "0"], check=False)
        # Its layers are mounted.
        subprocess.run(["podman", "system", "reset", "--force"], check=False)


def _pid_max() -> int:
    return int(Path("/proc/sys/kernel/pid_max").read_text())


@pytest.fixture(scope="module")
def podman() -> DockerClient:
    return engine_client(with_engine(SubprocessRunner(), PODMAN), "test")


@pytest.fixture(scope="module")
def image(podman: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small image of the stack, copied from Docker."""
    reference = ImageStore(SubprocessRunner(), Silent()).ensure(["xcom"])["xcom"]
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    DockerClient(SubprocessRunner()).save_images(archive, [reference])
    podman.load_images(archive)
    return reference


@pytest.fixture(scope="module")
def node(podman: DockerClient, image: str) -> Any:
    """A container like those that kind makes of nodes in Podman."""
    volume = _podman("volume", "create", "--label", f"{NAME}=true")
    argv = ["run", "--detach", "--tty", "--name", NAME, "--hostname", NAME, "--privileged"]
    argv += ["--label", f"{CLUSTER_LABEL}={NAME}", "--label", f"{ROLE_LABEL}=control-plane"]
    argv += ["--cgroupns=private", "--tmpfs", "/tmp", "--tmpfs", "/run"]
    argv += ["--volume", f"{volume}:/var:suid,exec,dev", "--volume", "/lib/modules:/lib/modules:ro"]
    _podman(*argv, "--net", "podman", "--user", "0", "--entrypoint", "sleep", image, "600")
    (found,) = podman.nodes(NAME)
    return found


def _podman(*argv: str) -> str:
    done = subprocess.run(["podman", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_podman_is_recognized_and_accepted(podman: DockerClient) -> None:
    podman.require_usable()
    info = podman.info()
    product = recognize(info, podman.version())
    assert product.name == "Podman"
    assert engine_faults(product, info, podman=True) == []
    assert [each.code for each in engine_faults(product, info, podman=False)] == [
        "ENGINE_IS_PODMAN"
    ]


def test_images_have_dockers_names(podman: DockerClient, image: str, tmp_path: Path) -> None:
    present = podman.inspect_images([image, "no/such:1"])
    docker = DockerClient(SubprocessRunner()).inspect_images([image])
    assert list(present) == [image]
    assert present[image].id == docker[image].id
    assert present[image].key == docker[image].key
    assert podman.image_names() == [image]
    podman.build("FROM " + image + "\nLABEL a=b\n", "team/model:1", tmp_path, Silent())
    assert set(podman.image_names()) == {image, "team/model:1"}
    podman.save_images(tmp_path / "images.tar", ["team/model:1"])
    podman.remove_image("team/model:1")
    podman.load_images(tmp_path / "images.tar")
    assert "team/model:1" in podman.inspect_images(["team/model:1"])


def test_nodes_get_the_same_bytes_as_from_docker(
    podman: DockerClient, image: str, tmp_path: Path
) -> None:
    sent = []
    for number, client in enumerate((podman, DockerClient(SubprocessRunner()))):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        client.save_images(scratch / "images.tar", [image])
        sent.append(b"".join(read_archive(scratch / "images.tar", scratch).stream()))
    assert sent[0] == sent[1]


def test_networks_and_volumes(podman: DockerClient) -> None:
    podman.create_network(NAME, LABELS)
    (network,) = podman.networks(NAME)
    assert network.attrs["Labels"] == LABELS
    podman.remove_networks([network])
    assert podman.networks(NAME) == []
    assert podman.claim_volume(NAME, LABELS) == LABELS
    assert podman.claim_volume(NAME, {"other": "owner"}) == LABELS
    podman.remove_volume(NAME)
    assert podman.volume_labels(NAME) is None


def test_files_and_programs_of_a_node(podman: DockerClient, node: Any) -> None:
    podman.put_files(node, "/etc", {"file": "text"})
    assert podman.has_file(node, "/etc/file")
    assert not podman.has_file(node, "/etc/none")
    assert podman.execute(node, ["cat", "/etc/file"]) == "text"
    with pytest.raises(DevstackError):
        podman.require(node, ["false"], "message")
    assert podman.address(node, "podman")
    podman.set_cpu_shares(node, 512)


def test_a_node_like_another_has_a_volume_of_its_own_and_nothing_is_left(
    podman: DockerClient, node: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("of this machine")
    name = f"{NAME}-2"
    binds = [f"{tmp_path}/file:/etc/mounted:ro"]
    body = build_similar(
        node.attrs, name, labels={ROLE_LABEL: "worker"}, binds=binds, left_out="/nowhere"
    )
    podman.start([podman.create(name, body, node)])
    second = podman.nodes(NAME)[1]
    assert second.name == name
    assert second.status == "running"
    assert podman.execute(second, ["cat", "/etc/mounted"]) == "of this machine"
    podman.execute(second, ["touch", "/var/second"])
    assert not podman.has_file(node, "/var/second")
    with pytest.raises(DevstackError) as caught:
        podman.create(name, body, node)
    assert "already in use" in caught.value.output
    podman.kill(second)
    second.reload()
    assert second.status != "running"
    podman.remove(podman.nodes(NAME), LABELS)
    assert podman.nodes(NAME) == []
    assert _podman("volume", "ls", "--quiet") == ""
