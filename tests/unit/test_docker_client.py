from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
import requests

from devstack.docker.cgroup import unfreeze
from devstack.docker.client import CLUSTER_LABEL, ROLE_LABEL, DockerClient, Present
from devstack.docker.context import current_source
from devstack.errors import DevstackError, ExitStatus
from devstack.process import ProgramMissingError
from tests.fakes.runner import FakeRunner

NOBODY = 65534


class Container:
    """A node container as the Docker SDK shows it; records the calls."""

    def __init__(self, name: str, role: str = "", status: str = "running") -> None:
        self.name = name
        self.status = status
        self.labels = {CLUSTER_LABEL: "demo", ROLE_LABEL: role}
        self.calls: list[str] = []
        self.fails: Exception | None = None
        self.removed_after = 0
        self.answer = (0, b"")

    def _record(self, what: str) -> None:
        self.calls.append(what)
        if self.fails:
            raise self.fails

    def start(self) -> None:
        self._record("start")

    def unpause(self) -> None:
        self._record("unpause")

    def remove(self, *, force: bool, v: bool) -> None:
        self._record(f"remove force={force} v={v}")

    def reload(self) -> None:
        self.calls.append("reload")
        self.removed_after -= 1
        if self.removed_after < 0:
            raise docker.errors.NotFound("no such container")

    def exec_run(self, argv: list[str]) -> tuple[int, bytes]:
        self._record(" ".join(argv))
        return self.answer


class Network:
    def __init__(self, name: str, **attrs: Any) -> None:
        self.name = name
        self.attrs = attrs
        self.removed = False
        self.refuses: list[Exception] = []

    def remove(self) -> None:
        if self.refuses:
            raise self.refuses.pop()
        self.removed = True


class Client:
    """The parts of the Docker SDK's client that are used."""

    def __init__(self) -> None:
        self.found: list[Container] = []
        self.all_networks: list[Network] = []
        self.network_faults: list[Exception] = []
        self.created: list[dict[str, Any]] = []
        self.fails: Exception | None = None
        self.containers = self
        self.volumes = _Volumes()
        self.networks = _Networks(self)

    def ping(self) -> bool:
        if self.fails:
            raise self.fails
        return True

    def list(self, *, all: bool, filters: dict[str, str], ignore_removed: bool) -> list[Container]:
        assert all
        assert ignore_removed
        assert filters == {"label": f"{CLUSTER_LABEL}=demo"}
        if self.fails:
            raise self.fails
        return self.found


class _Networks:
    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, names: list[str]) -> list[Network]:
        # As Docker does it: a name's part is enough.
        return [each for each in self._client.all_networks if names[0] in each.name]

    def create(self, name: str, **options: Any) -> None:
        self._client.created.append(options)
        if self._client.network_faults:
            raise self._client.network_faults.pop(0)
        self._client.all_networks.append(Network(name, Labels=options["labels"]))


class Volume:
    def __init__(self, volumes: dict[str, Volume], name: str, labels: dict[str, str]) -> None:
        self._volumes = volumes
        self._name = name
        self.attrs = {"Labels": labels}

    def remove(self) -> None:
        del self._volumes[self._name]


class _Volumes:
    def __init__(self) -> None:
        self.found: dict[str, Volume] = {}

    def create(self, name: str, *, labels: dict[str, str]) -> Volume:
        # As Docker does it: an existing volume is returned with the labels that it has.
        return self.found.setdefault(name, Volume(self.found, name, labels))

    def get(self, name: str) -> Volume:
        if name not in self.found:
            raise docker.errors.NotFound("no such volume")
        return self.found[name]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    fake = Client()
    monkeypatch.setattr(docker, "from_env", lambda **_options: fake)
    return fake


@pytest.fixture
def engine() -> DockerClient:
    return DockerClient(FakeRunner(["docker"]))


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A path that any user may access, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "docker.sock"


def api_error(status: int, explanation: str) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("refused", response, explanation)


def refused(act: Callable[[], Any]) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        act()
    assert caught.value.exit_status == ExitStatus.ENVIRONMENT
    assert caught.value.remedy
    return caught.value


def unusable(engine: DockerClient) -> DevstackError:
    """Return the error of an engine that cannot be used."""
    with pytest.raises(DevstackError) as caught:
        engine.require_usable()
    return caught.value


def test_a_docker_that_responds_is_usable(engine: DockerClient, client: Client) -> None:
    engine.require_usable()


def test_no_docker_client_means_docker_is_not_installed() -> None:
    problem = unusable(DockerClient(FakeRunner()))
    assert problem.code == "DOCKER_MISSING"
    assert "./scripts/prepare-docker" in problem.remedy


def test_no_socket_means_stopped(
    engine: DockerClient, monkeypatch: pytest.MonkeyPatch, socket_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket_path}")
    problem = unusable(engine)
    assert problem.code == "DOCKER_STOPPED"
    cause = f"[Errno 2] No such file or directory (DOCKER_HOST is unix://{socket_path})"
    assert str(problem) == f"Docker does not answer: {cause}"
    assert problem.remedy.startswith("unset DOCKER_HOST")
    # Another engine would not be asked.
    assert "systemctl start docker" not in problem.remedy


def test_a_socket_without_a_server_means_stopped(
    engine: DockerClient, monkeypatch: pytest.MonkeyPatch, socket_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(socket_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket_path}")
    problem = unusable(engine)
    assert problem.code == "DOCKER_STOPPED"
    assert "Connection refused" in str(problem)


def test_a_host_without_a_server_means_stopped(
    engine: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    problem = unusable(engine)
    assert problem.code == "DOCKER_STOPPED"
    assert "Connection refused" in str(problem)


def test_a_socket_that_this_user_may_not_open_means_forbidden(
    engine: DockerClient, monkeypatch: pytest.MonkeyPatch, socket_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket_path}")
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(socket_path))
        served.listen()
        socket_path.chmod(0)
        with unprivileged():
            problem = unusable(engine)
    assert problem.code == "DOCKER_FORBIDDEN"
    assert "group `docker`" in problem.remedy


class unprivileged:  # noqa: N801 - reads as a statement
    """If tests run as root: be the user `nobody` for a while, since root may open every file."""

    def __enter__(self) -> None:
        self._user = os.geteuid()
        if self._user == 0:
            os.seteuid(NOBODY)

    def __exit__(self, *_exception: object) -> None:
        os.seteuid(self._user)


def test_a_docker_that_stops_in_between_is_an_error(engine: DockerClient, client: Client) -> None:
    client.fails = requests.ConnectionError("Connection aborted.", ConnectionResetError("reset"))
    error = refused(lambda: engine.nodes("demo"))
    assert error.code == "DOCKER_STOPPED"
    assert error.cause == f"reset ({current_source()})"


def test_a_docker_that_hangs_is_an_error(engine: DockerClient, client: Client) -> None:
    client.fails = requests.ReadTimeout("Read timed out.")
    assert refused(lambda: engine.nodes("demo")).code == "DOCKER_STOPPED"


def test_the_control_plane_comes_first(engine: DockerClient, client: Client) -> None:
    client.found = [
        Container("demo-worker2", "worker"),
        Container("demo-worker", "worker"),
        Container("demo-control-plane", "control-plane"),
    ]
    names = [node.name for node in engine.nodes("demo")]
    assert names == ["demo-control-plane", "demo-worker", "demo-worker2"]


def test_only_stopped_containers_are_started(engine: DockerClient, client: Client) -> None:
    nodes = [Container(status, status=status) for status in ("running", "exited", "paused")]
    engine.start(nodes)
    assert [node.calls for node in nodes] == [[], ["start"], ["unpause"]]


def test_a_node_that_cannot_start_shows_the_error_of_docker(
    engine: DockerClient, client: Client
) -> None:
    node = Container("demo-control-plane", status="exited")
    node.fails = api_error(500, "Bind for 127.0.0.1:9000 failed: port is already allocated")
    error = refused(lambda: engine.start([node]))
    assert error.code == "DOCKER_REFUSED"
    assert "port is already allocated" in error.cause


def test_removal_includes_anonymous_volumes(engine: DockerClient, client: Client) -> None:
    nodes = [Container("one"), Container("two", status="exited")]
    engine.remove(nodes, {})
    assert [node.calls for node in nodes] == [["remove force=True v=True"]] * 2


def test_the_container_that_unfreezes_another_names_the_owner() -> None:
    started: list[dict[str, Any]] = []
    containers = SimpleNamespace(run=lambda _image, **options: started.append(options))
    client = SimpleNamespace(info=lambda: {"CgroupVersion": "1"}, containers=containers)
    unfreeze(client, SimpleNamespace(attrs={"Image": "node"}, id="abc"), {"devstack.user": "ada"})
    assert [options["labels"] for options in started] == [{"devstack.user": "ada"}]
    assert started[0]["userns_mode"] == "host"


@pytest.mark.parametrize(
    "error",
    [
        docker.errors.NotFound("no such container"),
        api_error(409, "removal of container is already in progress"),
    ],
)
def test_a_container_that_another_down_removes_is_no_error(
    engine: DockerClient, client: Client, error: Exception
) -> None:
    node = Container("one")
    node.fails = error
    engine.remove([node], {})


def test_a_removal_started_by_another_down_is_awaited(engine: DockerClient, client: Client) -> None:
    node = Container("one", status="removing")
    node.fails = api_error(409, "removal of container is already in progress")
    node.removed_after = 2
    engine.remove([node], {})
    assert node.calls.count("reload") == 3


def test_a_container_that_cannot_be_removed_is_an_error(
    engine: DockerClient, client: Client
) -> None:
    node = Container("one")
    node.fails = api_error(500, "device or resource busy")
    assert "busy" in refused(lambda: engine.remove([node], {})).cause


def test_only_the_network_of_exactly_this_name_is_removed(
    engine: DockerClient, client: Client
) -> None:
    client.all_networks = [Network("devstack-ci"), Network("devstack-ci2")]
    engine.remove_networks(engine.networks("devstack-ci"))
    assert [network.removed for network in client.all_networks] == [True, False]


def test_a_network_is_removed_once_its_last_container_is_removed(
    engine: DockerClient, client: Client
) -> None:
    network = Network("devstack-ci")
    network.refuses = [api_error(403, "network devstack-ci has active endpoints")]
    client.all_networks = [network]
    engine.remove_networks(engine.networks("devstack-ci"))
    assert network.removed


def test_a_network_that_others_use_is_an_error(
    engine: DockerClient, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstack.docker.removal.DETACH_TIMEOUT", 0.0)
    network = Network("devstack-ci")
    network.refuses = [api_error(403, "network devstack-ci has active endpoints")] * 9
    client.all_networks = [network]
    with pytest.raises(DevstackError) as caught:
        engine.remove_networks(engine.networks("devstack-ci"))
    assert (caught.value.code, caught.value.exit_status) == ("WAIT_TIMEOUT", ExitStatus.TIMEOUT)
    assert "active endpoints" in caught.value.cause
    assert "docker network inspect" in caught.value.remedy


def test_a_program_in_a_node_returns_its_output_or_nothing(
    engine: DockerClient, client: Client
) -> None:
    node = Container("one")
    node.answer = (0, b"listing\n")
    assert engine.execute(node, ["ctr", "images", "list"]) == "listing\n"
    node.answer = (1, b"cannot")
    assert engine.execute(node, ["ctr", "images", "list"]) == ""


def test_only_the_first_claim_of_a_volume_succeeds(engine: DockerClient, client: Client) -> None:
    assert engine.volume_labels("claim") is None
    assert engine.claim_volume("claim", {"user": "alice"}) == {"user": "alice"}
    assert engine.claim_volume("claim", {"user": "bob"}) == {"user": "alice"}
    assert engine.volume_labels("claim") == {"user": "alice"}
    engine.remove_volume("claim")
    engine.remove_volume("claim")
    assert engine.volume_labels("claim") is None


MTU = "com.docker.network.driver.mtu"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


def test_a_network_is_like_kinds_but_with_labels(engine: DockerClient, client: Client) -> None:
    client.all_networks = [Network("bridge", Options={MTU: "1400"})]
    engine.create_network("devstack-old", {"devstack.stack": "old"})
    (options,) = client.created
    assert (options["driver"], options["enable_ipv6"]) == ("bridge", True)
    assert options["options"] == {MASQUERADE: "true", MTU: "1400"}
    assert options["labels"] == {"devstack.stack": "old"}
    # What kind 0.33 gives to a network of this name.
    assert options["ipam"]["Config"][0]["Subnet"] == "fc00:f258:25b3:c8d3::/64"


def test_a_network_whose_ipv6_subnet_is_taken_gets_another(
    engine: DockerClient, client: Client
) -> None:
    taken = api_error(403, "Pool overlaps with other one on this address space")
    client.network_faults = [taken, taken]
    engine.create_network("devstack-ci", {})
    subnets = [options["ipam"]["Config"][0]["Subnet"] for options in client.created]
    assert len(set(subnets)) == 3


def test_a_network_has_no_ipv6_if_the_engine_has_none(engine: DockerClient, client: Client) -> None:
    message = "Failed to Setup IP tables: Unable to enable NAT rule: (iptables failed: ip6tables"
    client.network_faults = [api_error(500, message)]
    engine.create_network("devstack-ci", {})
    assert [options["enable_ipv6"] for options in client.created] == [True, False]


def test_a_network_that_docker_rejects_is_an_error(engine: DockerClient, client: Client) -> None:
    client.network_faults = [api_error(500, "no space left on device")]
    error = refused(lambda: engine.create_network("devstack-ci", {}))
    assert (error.code, len(client.created)) == ("DOCKER_REFUSED", 1)


DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run"
UNREACHABLE = "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        (DENIED, "DOCKER_FORBIDDEN"),
        (UNREACHABLE, "DOCKER_STOPPED"),
        ("error during connect: dial tcp 127.0.0.1:1", "DOCKER_STOPPED"),
        ("Error: manifest unknown", "DOCKER_FAILED"),
    ],
)
@pytest.mark.parametrize(
    "act",
    [
        lambda docker: docker.tag("a", "b"),
        lambda docker: docker.load_images(Path("images.tar")),
        lambda docker: docker.inspect_images(["a"]),
    ],
)
def test_a_failed_command_has_the_codes_of_the_api(
    act: Callable[[DockerClient], object], stderr: str, code: str
) -> None:
    runner = FakeRunner(["docker"])
    runner.answer("docker", returncode=1, stderr=stderr)
    error = raised(lambda: act(DockerClient(runner)))
    assert (error.code, error.exit_status) == (code, ExitStatus.ENVIRONMENT)
    assert error.remedy or stderr in error.output


def test_a_command_without_docker_is_docker_missing() -> None:
    def missing(_call: object) -> None:
        raise ProgramMissingError("cannot run `docker`", code="TOOL_MISSING")

    runner = FakeRunner(["docker"])
    runner.answer("docker", effect=missing)
    assert raised(lambda: DockerClient(runner).tag("a", "b")).code == "DOCKER_MISSING"


def test_images_that_docker_lacks_are_no_error() -> None:
    runner = FakeRunner(["docker"])
    image = {"RepoTags": ["a:1"], "Size": 5, "Config": {"Labels": {"devstack.key": "k"}}}
    runner.answer(
        "docker", returncode=1, stdout=json.dumps(image) + "\n", stderr="Error: No such image: b:1"
    )
    assert DockerClient(runner).inspect_images(["a:1", "b:1"]) == {"a:1": Present("k", 5)}


def raised(act: Callable[[], object]) -> DevstackError:
    """Return the error that an action ends with."""
    with pytest.raises(DevstackError) as caught:
        act()
    return caught.value


def test_an_archive_of_images_that_fills_the_disk_is_an_error_with_its_path(tmp_path: Path) -> None:
    runner = FakeRunner()
    full = "write /cache/.docker_temp_1: no space left on device"
    runner.answer("docker", "save", returncode=1, stderr=full)
    with pytest.raises(DevstackError) as caught:
        DockerClient(runner).save_images(tmp_path / "images.tar", ["app:1"])
    assert caught.value.code == "DISK_FULL"
    assert str(tmp_path) in caught.value.message
