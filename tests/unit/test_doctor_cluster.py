"""Each fault of a cluster and of what pods see that the doctor reports."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from devstack.config import ImageSource
from devstack.doctor import kubeconfig, network
from devstack.doctor.check import Diagnosis, Finding, run_checks
from devstack.doctor.network import build_query, refusal_in
from devstack.doctor.table import CHECKS
from devstack.errors import DevstackError
from devstack.images import ImageStore
from devstack.kube.client import KubeClient
from devstack.ports import LOOPBACK
from devstack.services import SERVICES
from devstack.services.certificates import build_serving_certificate
from devstack.stack import Stack
from devstack.state import Phase, StackDir, StackState
from tests.fakes.api import FakeApi, namespace, pod
from tests.fakes.bucket import Bucket, serve_bucket
from tests.fakes.cluster_objects import NODE, TASKS, node, secret, write_kubeconfig
from tests.fakes.engine import FakeEngineProvider
from tests.fakes.runner import FakeClock, FakeRunner, Recorder
from tests.fakes.stack import World
from tests.support.certificates import build_client_certificate

REAL_CLIENT = KubeClient.from_kubeconfig
NAMES = ["nodes", "kubeconfig", "images", "dns", "datastore", "proxies", "pod-certificates"]
CLUSTER_CHECKS = [check for check in CHECKS if check.name in NAMES]


@pytest.fixture
def minio() -> Iterator[int]:
    """Return the port of an S3."""
    with serve_bucket() as port:
        yield port


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide this machine's own proxies, indexes and authorities."""
    monkeypatch.setattr("devstack.doctor.pod_settings.os.environ", {"HOME": "/nowhere"})
    monkeypatch.setattr(
        "devstack.services.packages.authorities.read_authorities", lambda *_a, **_o: ""
    )
    monkeypatch.setattr("devstack.services.packages.pip_settings.read_files", lambda *_a: {})
    monkeypatch.setattr("devstack.services.packages.uv_settings.read_files", lambda *_a: {})


@pytest.fixture
def api() -> FakeApi:
    """The API of a healthy cluster."""
    made = FakeApi()
    service = {"metadata": {"name": "kube-dns", "namespace": "kube-system"}}
    made.add(
        namespace(TASKS),
        {"apiVersion": "v1", "kind": "Service", **service, "spec": {"clusterIP": "10.96.0.10"}},
        secret("devstack-packages", {}),
        secret("devstack-package-files", {}),
        node(),
    )
    return made


@pytest.fixture
def stack(
    api: FakeApi, minio: int, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Stack:
    """A healthy stack with the real services, without Airflow and a registry."""
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda *_a, **_o: api.client())
    directory = StackDir("mine", tmp_path)
    ports = {"minio": minio}
    directory.write(StackState("mine", ports=ports, mapped_ports=["minio"], phase="up"))
    state = directory.read()
    assert state is not None
    progress = Recorder()
    made = Stack(
        replace(world.open().spec, name="mine"),
        directory,
        state,
        FakeRunner(),
        FakeClock(),
        progress,
        [each for each in SERVICES if each.name not in ("airflow", "registry")],
    )
    provider = FakeEngineProvider()
    provider.outputs["/dev/udp"] = ANSWER
    vars(made).update(provider=provider, images=ImageStore(FakeRunner(), progress))
    write_kubeconfig(directory.admin_kubeconfig)
    write_kubeconfig(directory.kubeconfig)
    return made


@pytest.fixture
def real_clients(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients of the API read the kubeconfigs."""
    monkeypatch.setattr(KubeClient, "from_kubeconfig", REAL_CLIENT)


ANSWER = "2a2a8180000100010000000003"


def provider(stack: Stack) -> FakeEngineProvider:
    assert isinstance(stack.provider, FakeEngineProvider)
    return stack.provider


def diagnose(stack: Stack) -> dict[str, Diagnosis]:
    return {each.check.name: each for each in run_checks(CLUSTER_CHECKS, stack)}


def found(stack: Stack, check: str) -> Finding:
    """Return the only finding of a check; the other checks have none."""
    made = diagnose(stack)
    assert [name for name, each in made.items() if each.findings] == [check]
    (finding,) = made[check].findings
    assert finding.remedy
    return finding


def test_a_healthy_cluster_has_no_findings(stack: Stack, api: FakeApi) -> None:
    assert {name: each.state for name, each in diagnose(stack).items()} == dict.fromkeys(
        NAMES, "ok"
    )
    assert api.writes == []


@pytest.mark.breaks("nodes")
def test_a_node_that_is_not_ready(stack: Stack, api: FakeApi) -> None:
    api.add(node(ready="Unknown"))
    finding = found(stack, "nodes")
    assert (finding.code, finding.severity) == ("NODE_NOT_READY", "error")
    assert "PLEG is not healthy" in finding.cause
    api.add(node(), node("mine-pool-0", ready="False"))
    assert found(stack, "nodes").severity == "warning"


@pytest.mark.breaks("nodes")
@pytest.mark.parametrize("pressure", ["DiskPressure", "MemoryPressure", "PIDPressure"])
def test_a_node_under_pressure(stack: Stack, api: FakeApi, pressure: str) -> None:
    api.add(node(**{pressure: "True"}))
    finding = found(stack, "nodes")
    assert finding.code == "NODE_PRESSURE"
    assert pressure in finding.cause


@pytest.mark.breaks("nodes")
def test_task_pods_that_were_evicted(stack: Stack, api: FakeApi) -> None:
    evicted = pod("train-1", TASKS)
    evicted["status"] = {"phase": "Failed", "reason": "Evicted"}
    failed = pod("train-2", TASKS)
    failed["status"] = {"phase": "Failed", "reason": "Error"}
    api.add(evicted, failed)
    finding = found(stack, "nodes")
    assert (finding.code, finding.severity) == ("PODS_EVICTED", "warning")
    assert "1 task pod(s) were evicted, such as train-1" in finding.cause


@pytest.mark.breaks("kubeconfig")
@pytest.mark.parametrize(
    ("start", "end", "severity"),
    [(-400, -1, "error"), (-300, 5, "warning"), (1, 300, "error"), (-1, 300, "")],
)
def test_certificates_that_expired_or_do_so_soon(
    stack: Stack, start: int, end: int, severity: str
) -> None:
    now = datetime.now(timezone.utc)
    certificate = build_client_certificate(now + timedelta(start), now + timedelta(end))
    write_kubeconfig(stack.dir.admin_kubeconfig, certificate)
    findings = diagnose(stack)["kubeconfig"].findings
    expected = [("CERTIFICATE_EXPIRED", severity)] if severity else []
    assert [(each.code, each.severity) for each in findings] == expected
    assert all("the administrator's certificate" in each.cause for each in findings)


@pytest.mark.breaks("kubeconfig")
def test_the_certificate_of_the_api_server_counts_too(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = build_serving_certificate("localhost").certificate.encode()
    monkeypatch.setattr(kubeconfig, "_served", lambda _config: served)
    monkeypatch.setattr(kubeconfig, "SOON", timedelta(days=9999))
    assert "the API server's certificate expires" in found(stack, "kubeconfig").cause


@pytest.mark.breaks("kubeconfig")
def test_a_token_that_was_revoked(stack: Stack, api: FakeApi) -> None:
    api.refuse("GET", "/pods", 401, "Unauthorized", "invalid bearer token")
    # The other checks list pods of the namespace, too.
    checks = [check for check in CLUSTER_CHECKS if check.name == "kubeconfig"]
    (diagnosis,) = run_checks(checks, stack)
    assert [each.code for each in diagnosis.findings] == ["TOKEN_REJECTED"]


def test_a_kubeconfig_that_is_missing_is_reported_by_the_check_of_files(stack: Stack) -> None:
    for file in (stack.dir.kubeconfig, stack.dir.admin_kubeconfig):
        file.unlink()
        checks = [check for check in CHECKS if check.name in ("kubeconfig", "files")]
        made, files = run_checks(checks, stack)
        assert "FILE_MISSING" in {each.code for each in files.findings}
        assert made.state == "skipped"


@pytest.mark.breaks("kubeconfig")
@pytest.mark.parametrize(
    "content",
    [b"- one", b"\xff\xfe\x00", b"apiVersion: v1\n", b"a: [", b"clusters: 3"],
)
@pytest.mark.parametrize("name", ["admin_kubeconfig", "kubeconfig"])
def test_a_damaged_kubeconfig(stack: Stack, real_clients: None, name: str, content: bytes) -> None:
    file = getattr(stack.dir, name)
    file.write_bytes(content)
    checks = [check for check in CHECKS if check.name in ("kubeconfig", "nodes", "quota")]
    if name == "kubeconfig":
        checks = [check for check in checks if check.name == "kubeconfig"]
    made = run_checks(checks, stack)
    (finding,) = [finding for each in made for finding in each.findings]
    assert finding.code in ("KUBECONFIG_BROKEN", "CONTEXT_UNKNOWN")
    assert str(file) in finding.cause
    assert "devstack up" in finding.remedy


def test_a_damaged_certificate_is_reported_once(stack: Stack, real_clients: None) -> None:
    file = stack.dir.admin_kubeconfig
    write_kubeconfig(file, "no certificate")
    file.write_text(file.read_text().replace("http://", "https://"))
    checks = [check for check in CHECKS if check.name in ("kubeconfig", "nodes", "quota")]
    made = run_checks(checks, stack)
    assert [finding.code for each in made for finding in each.findings] == ["KUBECONFIG_BROKEN"]


@pytest.mark.breaks("images")
def test_an_image_that_a_node_lost(stack: Stack) -> None:
    reference = stack.images.reference("minio")
    stack.state.images = {"minio": reference}
    finding = found(stack, "images")
    assert finding.code == "IMAGE_MISSING"
    assert reference in finding.cause
    provider(stack).loaded = [reference]
    assert diagnose(stack)["images"].findings == []


@pytest.mark.breaks("images")
def test_a_stack_of_an_earlier_release(stack: Stack) -> None:
    stack.state.images = {"minio": "devstack/minio:0.1"}
    provider(stack).loaded = ["devstack/minio:0.1"]
    finding = found(stack, "images")
    assert (finding.code, finding.severity) == ("IMAGE_OUTDATED", "warning")


def lack(monkeypatch: pytest.MonkeyPatch, stack: Stack, *absent: str) -> None:
    """Let the engine have all images except some."""
    monkeypatch.setattr(
        stack.images, "present", lambda names: {name: name not in absent for name in names}
    )


@pytest.mark.breaks("images")
def test_an_absent_image_while_nothing_may_be_fetched(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(monkeypatch, stack, "minio")
    stack.state.phase = "creating"
    made = diagnose(stack)["images"]
    assert (made.state, made.reason) == ("skipped", "devstack up is to get 1 of the stack's images")
    stack.spec = replace(stack.spec, offline=True)
    finding = found(stack, "images")
    assert finding.code == "IMAGE_UNAVAILABLE"
    assert "minio is not here" in finding.cause


@pytest.mark.breaks("images")
def test_a_node_image_that_an_engine_cannot_build(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: dict[str, DevstackError] = {}
    monkeypatch.setattr(stack.images, "find_unreachable", lambda _names: errors)
    provider(stack).info["SecurityOptions"] = ["name=userns"]
    stack.state.phase = "creating"
    lack(monkeypatch, stack, "node")
    assert diagnose(stack)["images"].state == "skipped"  # it is pulled
    provider(stack).info["CgroupVersion"] = "1"
    finding = found(stack, "images")
    assert (finding.code, finding.severity) == ("IMAGE_UNAVAILABLE", "error")
    assert "userns-remap" in finding.cause
    lack(monkeypatch, stack)
    assert diagnose(stack)["images"].state == "ok"


@pytest.mark.breaks("images")
@pytest.mark.parametrize(
    ("source", "mirror", "phase", "expected"),
    [
        ("auto", {}, "creating", []),  # it is built instead
        ("build", {"docker.io": "mirror.corp:5000/hub"}, "creating", []),
        ("auto", {"docker.io": "mirror.corp:5000/hub"}, "up", [("mirror.corp:5000", "warning")]),
        ("pull", {}, "up", []),
        ("pull", {}, "creating", [("mirror.corp:5000", "error"), ("quay.io", "error")]),
    ],
)
def test_a_registry_that_the_engine_does_not_reach(
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    source: ImageSource,
    mirror: dict[str, str],
    phase: Phase,
    expected: list[tuple[str, str]],
) -> None:
    errors = {
        name: DevstackError(f"cannot pull from {name}", remedy="r", code="REGISTRY_UNREACHABLE")
        for name in ("mirror.corp:5000", "quay.io")
    }
    monkeypatch.setattr(stack.images, "find_unreachable", lambda: errors)
    lack(monkeypatch, stack)
    stack.spec, stack.state.phase = replace(stack.spec, images=source, mirror=mirror), phase
    findings = diagnose(stack)["images"].findings
    assert [(each.cause, each.severity) for each in findings] == [
        (f"cannot pull from {name}", severity) for name, severity in expected
    ]


@pytest.mark.breaks("dns")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [("", "no answer"), ("2a2a8182" + "00" * 8, "SERVFAIL"), ("2a2a8183" + "00" * 8, "no such")],
)
def test_services_whose_names_are_not_resolved(stack: Stack, answer: str, reason: str) -> None:
    provider(stack).outputs["/dev/udp"] = answer
    finding = found(stack, "dns")
    assert finding.code == "DNS_DOWN"
    assert f"{NODE} got" in finding.cause
    assert reason in finding.cause


def test_a_node_that_answers_too_late_is_not_ok(stack: Stack) -> None:
    provider(stack).outputs["/dev/udp"] = None
    made = diagnose(stack)["dns"]
    assert (made.state, made.reason) == (
        "skipped",
        f"{NODE} did not run the check's program in time",
    )


@pytest.mark.breaks("dns")
def test_what_some_nodes_report_counts_though_others_are_silent(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = {"mine-worker": None, NODE: ""}
    monkeypatch.setattr(provider(stack), "run_on_nodes", lambda *_arguments: outputs)
    assert [each.code for each in diagnose(stack)["dns"].findings] == ["DNS_DOWN"]
    outputs[NODE] = ANSWER
    assert diagnose(stack)["dns"].state == "skipped"


@pytest.mark.breaks("dns")
def test_a_name_that_only_this_machine_resolves(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"HOME": "/nowhere", "PIP_INDEX_URL": "https://index.corp.example/simple"}
    monkeypatch.setattr("devstack.doctor.network.os.environ", environment)
    monkeypatch.setattr(network, "_resolves_here", lambda _name: True)
    query = network._escape(build_query("index.corp.example"))
    provider(stack).outputs = {query: "2a2a8183" + "00" * 8, **provider(stack).outputs}
    finding = found(stack, "dns")
    assert (finding.code, finding.severity) == ("DNS_DIFFERENT", "warning")
    assert "index.corp.example" in finding.cause


def test_a_query_is_one_that_a_resolver_understands() -> None:
    header, question = build_query("a.bc")[:12], build_query("a.bc")[12:]
    assert header.hex() == "2a2a01000001000000000000"
    assert question == b"\x01a\x02bc\x00\x00\x01\x00\x01"
    assert refusal_in(ANSWER) == ""


@pytest.mark.breaks("datastore")
@pytest.mark.parametrize(("status", "code"), [(403, "KEYS_REJECTED"), (404, "BUCKET_MISSING")])
def test_a_datastore_that_flows_cannot_use(stack: Stack, status: int, code: str) -> None:
    Bucket.status = status
    assert found(stack, "datastore").code == code


def test_a_datastore_that_is_down_is_reported_by_the_check_of_services(stack: Stack) -> None:
    with socket.socket() as unused:
        unused.bind((LOOPBACK, 0))
        stack.state.ports["minio"] = unused.getsockname()[1]
        assert diagnose(stack)["datastore"].state == "skipped"


def set_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    environment = {"HOME": "/nowhere", **variables}
    monkeypatch.setattr("devstack.doctor.pod_settings.os.environ", environment)


@pytest.mark.breaks("proxies")
def test_a_proxy_that_nodes_and_pods_do_not_have(
    stack: Stack, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, HTTPS_PROXY="http://user:geheim@proxy.corp.example:3128")
    findings = diagnose(stack)["proxies"].findings
    assert [each.code for each in findings] == ["PROXY_NOT_IN_PODS", "PROXY_NOT_ON_NODES"]
    assert "geheim" not in str(findings)
    provider(stack).outputs["environ"] = "HTTPS_PROXY=http://proxy.corp.example:3128\n"
    values = {"https_proxy": "http://user:geheim@proxy.corp.example:3128"}
    api.add(secret("devstack-packages", values))
    assert diagnose(stack)["proxies"].findings == []


@pytest.mark.breaks("proxies")
def test_a_proxy_that_the_engine_does_not_have_but_needs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, HTTPS_PROXY="http://proxy.corp.example:3128")
    errors = {"quay.io": DevstackError("cannot pull from quay.io", code="REGISTRY_UNREACHABLE")}
    monkeypatch.setattr(stack.images, "find_unreachable", lambda _names: errors)
    lack(monkeypatch, stack, "minio")
    stack.state.phase = "creating"
    (finding,) = diagnose(stack)["proxies"].findings
    assert (finding.code, finding.severity) == ("PROXY_NOT_IN_ENGINE", "warning")
    assert "quay.io" in finding.cause
    # All registries have a mirror that the engine reaches.
    errors.clear()
    assert diagnose(stack)["proxies"].state == "ok"
    errors["quay.io"] = DevstackError("cannot pull from quay.io")
    for changed in (replace(stack.spec, offline=True), replace(stack.spec, images="build")):
        stack.spec = changed
        assert diagnose(stack)["proxies"].state == "ok"
    stack.spec = replace(stack.spec, offline=False, images="auto")
    lack(monkeypatch, stack)
    assert diagnose(stack)["proxies"].state == "ok"


@pytest.mark.breaks("proxies")
def test_a_proxy_that_pods_still_have(stack: Stack, api: FakeApi) -> None:
    api.add(secret("devstack-packages", {"http_proxy": "http://proxy.corp.example:3128"}))
    finding = found(stack, "proxies")
    assert finding.cause == "pods have http_proxy, but this machine has no proxy"


@pytest.mark.breaks("proxies")
def test_a_proxy_on_loopback(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, http_proxy="http://localhost:3128")
    codes = [each.code for each in diagnose(stack)["proxies"].findings]
    assert codes[0] == "PROXY_ON_LOOPBACK"


@pytest.mark.breaks("proxies")
@pytest.mark.breaks("pod-certificates")
def test_settings_that_a_stack_without_packages_does_not_pass_on(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.services = [each for each in stack.services if each.name != "packages"]
    assert {each.state for each in diagnose(stack).values()} == {"ok"}
    set_environment(monkeypatch, http_proxy="http://proxy.corp.example:3128")
    trust_authority(monkeypatch)
    codes = {name: [f.code for f in each.findings] for name, each in diagnose(stack).items()}
    assert "PROXY_NOT_IN_PODS" in codes["proxies"]
    assert codes["pod-certificates"] == ["CERTIFICATES_NOT_IN_PODS"]


@pytest.mark.breaks("pod-certificates")
def test_an_authority_that_pods_do_not_trust(
    stack: Stack, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = trust_authority(monkeypatch)
    assert found(stack, "pod-certificates").code == "CERTIFICATES_NOT_IN_PODS"
    api.add(secret("devstack-package-files", {"ca-certificates.crt": text}))
    assert diagnose(stack)["pod-certificates"].findings == []


def trust_authority(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let this machine trust a private authority; return its certificate."""
    text = build_serving_certificate("corp.example").certificate
    monkeypatch.setattr(
        "devstack.services.packages.authorities.read_authorities", lambda *_a, **_o: text
    )
    return text
