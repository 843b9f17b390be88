"""A run that makes no progress: what it waits for, and where that setting came from."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from devstack.flows import stalls
from devstack.flows.arguments import parse_arguments
from devstack.flows.child_processes import describe_children
from devstack.flows.effective_settings import STACKS_OWN, pod_settings, process_settings
from devstack.flows.environment import FlowEnvironment
from devstack.flows.setting_changes import SettingChange, find_changes
from devstack.flows.settings_probe import ProbeResult, ServiceCheck, probe_settings
from devstack.flows.source import read_source
from devstack.flows.stalls import FIRST_PROBE, StallWatch
from devstack.services import minio
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock
from tests.support.task_objects import NAMESPACE, task_pod

CHANGES = """
import os
from os import environ
os.environ["AWS_PROFILE"] = "corp"
environ["AWS_SESSION_TOKEN"] = read_token()
os.environ.update({"AWS_REGION": "eu-west-1"}, AWS_MAX_ATTEMPTS="1")
os.environ.setdefault("METAFLOW_SERVICE_URL", "http://corp")
os.environ.pop("AWS_ENDPOINT_URL_S3", None)
del os.environ["KUBECONFIG"]
os.putenv("AWS_CA_BUNDLE", "/ca.pem")
os.environ["COLOUR"] = "no setting"
class MyFlow:
    @environment(vars={"AWS_ACCESS_KEY_ID": "stale", "SIZE": "3"})
    @step
    def start(self):
        os.environ["AWS_SESSION_TOKEN"] = "later"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "my_flow.py"
    path.write_text(text)
    return path


def test_changes_are_found_in_the_flows_file(tmp_path: Path) -> None:
    assert sorted(find_changes(write(tmp_path, CHANGES)), key=lambda change: change.line) == [
        SettingChange("AWS_PROFILE", "corp", 4),
        SettingChange("AWS_SESSION_TOKEN", None, 5),
        SettingChange("AWS_REGION", "eu-west-1", 6),
        SettingChange("AWS_MAX_ATTEMPTS", "1", 6),
        SettingChange("METAFLOW_SERVICE_URL", "http://corp", 7, default=True),
        SettingChange("AWS_ENDPOINT_URL_S3", None, 8),
        SettingChange("KUBECONFIG", None, 9),
        SettingChange("AWS_CA_BUNDLE", "/ca.pem", 10),
        SettingChange("AWS_ACCESS_KEY_ID", "stale", 13, "start", decorator=True),
        SettingChange("AWS_SESSION_TOKEN", "later", 16, "start"),
    ]


def test_each_setting_of_a_process_has_its_origin() -> None:
    given = {"AWS_ACCESS_KEY_ID": "ours", "HTTPS_PROXY": "http://proxy", "EDITOR": "vi"}
    given["REQUESTS_CA_BUNDLE"] = "/ca.pem"
    changes = [
        SettingChange("AWS_SESSION_TOKEN", "stale", 5),
        SettingChange("AWS_ACCESS_KEY_ID", "kept", 6, default=True),
    ]
    settings = process_settings(
        given, {"AWS_ACCESS_KEY_ID": "ours"}, changes, Path("/x/my_flow.py")
    )
    assert settings.variables["AWS_ACCESS_KEY_ID"] == "ours"
    assert settings.variables["AWS_SESSION_TOKEN"] == "stale"
    assert settings.origin_for("S3") == "AWS_SESSION_TOKEN: set by my_flow.py, line 5"
    theirs = process_settings(given, {}, [], Path("my_flow.py"))
    of_service = "the metadata service"
    assert theirs.origin_for(of_service) == "HTTPS_PROXY: from your environment"
    assert theirs.origin_for(of_service, "https://x") == (
        "HTTPS_PROXY, REQUESTS_CA_BUNDLE: from your environment"
    )
    assert settings.origin_for("the Kubernetes API", changed=["KUBECONFIG"]) == (
        "KUBECONFIG: changed by the flow or a module that it imports"
    )
    ours = process_settings({}, {}, [], Path("my_flow.py"))
    assert ours.origin_for("S3") == STACKS_OWN


def test_settings_of_a_pod_come_from_its_secrets_its_step_and_the_file() -> None:
    api = FakeApi()
    for name, values in (
        (minio.TASK_SECRET, {"AWS_ENDPOINT_URL_S3": minio.ENDPOINT_IN_CLUSTER}),
        ("theirs", {"AWS_SECRET_ACCESS_KEY": "of theirs"}),
    ):
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        api.add(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "data": data,
            }
        )
    pod = task_pod("t-1", "train")
    pod["spec"]["containers"][0] |= {
        "envFrom": [
            {"secretRef": {"name": name}} for name in (minio.TASK_SECRET, "theirs", "gone")
        ],
        "env": [{"name": "AWS_ACCESS_KEY_ID", "value": "stale"}],
    }
    changes = [
        SettingChange("AWS_ACCESS_KEY_ID", "stale", 9, "train", decorator=True),
        SettingChange("AWS_REGION", "of another step", 3, "end"),
    ]
    given = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000"}
    settings = pod_settings(api.client(), pod, given, changes, Path("my_flow.py"))
    assert settings.variables["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:9000"
    assert settings.variables["AWS_SECRET_ACCESS_KEY"] == "of theirs"
    assert settings.origin_for("S3") == (
        "AWS_ACCESS_KEY_ID: set by @environment of step train, my_flow.py, line 9;"
        " AWS_SECRET_ACCESS_KEY: set by the Secret theirs"
    )


class _Answers(BaseHTTPRequestHandler):
    """An S3 that rejects every key, and a metadata service that is well."""

    def do_GET(self) -> None:
        ping = self.path == "/ping"
        body = b"" if ping else b"<Error><Code>InvalidTokenId</Code><Message>no</Message></Error>"
        self.send_response(200 if ping else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_each_service_is_tried_once_with_the_settings_of_the_process(
    address: str, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "current-context: a\n"
        "contexts: [{name: a, context: {cluster: b}}]\n"
        "clusters: [{name: b, cluster: {server: 'https://127.0.0.1:1'}}]\n"
    )
    variables = {
        "METAFLOW_HOME": str(tmp_path),
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_SERVICE_URL": address,
        "AWS_ACCESS_KEY_ID": "ours",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": address,
    }
    python = Path(sys.executable)
    (tmp_path / "company.py").write_text(
        f"import os; os.environ.update(AWS_SESSION_TOKEN='stale', KUBECONFIG={str(kubeconfig)!r})"
    )
    flow = write(tmp_path, "import company; print('noise'); raise ValueError")
    found = probe_settings(python, variables, flow)
    assert set(found.changed) == {"AWS_SESSION_TOKEN", "KUBECONFIG"}
    s3, service, cluster = found.checks
    assert str(s3) == f"S3 at {address} rejects the keys (InvalidTokenId: no)"
    assert s3.keys == "env"
    assert (service.service, service.problem) == ("the metadata service", "")
    assert "https://127.0.0.1:1 does not answer" in str(cluster)
    plain = write(tmp_path, "")
    assert not probe_settings(python, variables, plain, datastore="local", metadata="local").checks
    elsewhere = {**variables, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    (unreachable,) = probe_settings(python, elsewhere, plain, metadata="local").checks
    assert "S3 at http://127.0.0.1:1 does not answer" in str(unreachable)


class Watched:
    """A watch of a run whose clock and services the test controls."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.checks = [ServiceCheck("S3", "http://s3", "rejects the keys (ExpiredToken: old)")]
        monkeypatch.setattr(stalls, "probe_settings", self.probe)
        self.options: dict[str, Any] = {}
        self.tried = 0
        source = read_source(write(folder, "import os\nos.environ['AWS_SESSION_TOKEN'] = 'x'\n"))
        env = FlowEnvironment(
            environment={},
            python=Path(sys.executable),
            namespace=NAMESPACE,
            kube=FakeApi().client(),
            logs=folder,
        )
        arguments = parse_arguments(source, ["--metadata", "local"])
        self.watch = StallWatch(source, arguments, env, {}, self.clock)

    def probe(self, *_given: Any, **options: Any) -> ProbeResult:
        self.tried += 1
        self.options = options
        return ProbeResult((), self.checks)

    def after(self, seconds: float, pods: Any = ()) -> list[str]:
        """Return what is reported in so many seconds of silence."""
        found = []
        for _ in range(int(seconds)):
            self.clock.sleep(1)
            found += self.watch.observe(os.getpid(), pods)
            for thread in stalls_threads():
                thread.join()
        return found


def stalls_threads() -> list[Thread]:
    import threading

    return [each for each in threading.enumerate() if isinstance(each, stalls._Probe)]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path, monkeypatch)


def test_a_silent_run_is_reported_once_within_a_minute_with_the_origin(watched: Watched) -> None:
    (sentence,) = watched.after(60)
    assert sentence == (
        f"no progress for {FIRST_PROBE:.0f} s: S3 at http://s3 rejects the keys"
        " (ExpiredToken: old); AWS_SESSION_TOKEN: set by my_flow.py, line 2"
    )
    assert watched.options["metadata"] == "local"
    assert watched.after(600) == []
    assert watched.tried < 10


def test_output_is_progress_but_not_the_wait_for_a_pod(watched: Watched) -> None:
    for _ in range(6):
        assert watched.after(FIRST_PROBE - 1) == []
        watched.watch.take_line("epoch 3")
    assert watched.tried == 0
    watched.after(FIRST_PROBE - 1)
    watched.watch.take_line("[17/train/2 (pid 9)] [pod t-1] Task is starting (Pod is pending)...")
    watched.watch.take_line("[17/train/2 (pid 9)] [WARNING] S3 ... Retrying 4 more times..")
    assert watched.after(3)


def test_a_pod_that_starts_is_progress(watched: Watched) -> None:
    assert watched.after(FIRST_PROBE - 1) == []
    pods = [task_pod("t-1", "train", started="2026-11-21T12:00:01Z")]
    assert watched.after(FIRST_PROBE - 1, pods) == []
    own, of_pod = watched.after(5, pods)
    assert "step train in pod t-1: S3 at http://s3 rejects the keys" in of_pod
    assert "pod" not in own


def test_a_step_that_computes_in_silence_is_no_problem(watched: Watched) -> None:
    watched.checks = [ServiceCheck("S3", "http://s3", "")]
    assert watched.after(20) == []
    assert watched.watch.note.startswith("no output for 15 s; S3 can be used")
    watched.watch.take_line("epoch 1")
    assert watched.watch.note == ""


@pytest.mark.parametrize(
    ("command", "place"),
    [(["step"], "on this machine"), (["kubernetes", "step"], "in a pod")],
)
def test_the_programs_that_a_silent_flow_runs_are_named(command: list[str], place: str) -> None:
    wait = "import time; time.sleep(60)"
    task = [sys.executable, "-c", wait, "flow.py", *command, "train", "--x"]
    program = f"import subprocess; subprocess.run({task}); print()"
    with subprocess.Popen(["sleep", "60"]) as tool:
        with subprocess.Popen([sys.executable, "-c", program]) as flow:
            expected = {"`sleep 60`", f"step train {place}"}
            deadline = time.monotonic() + 10
            while not expected <= set(describe_children(os.getpid())):
                assert time.monotonic() < deadline
            for child in psutil.Process(flow.pid).children():
                child.kill()
        tool.kill()


def test_a_failed_explanation_does_not_end_the_run(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any, **_options: Any) -> ProbeResult:
        raise RuntimeError("no room")

    monkeypatch.setattr(stalls, "probe_settings", fail)
    assert watched.after(60) == []
