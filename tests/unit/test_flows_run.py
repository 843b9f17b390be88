from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.flows.failure import failure_of
from devstack.flows.flow_process import STOP_GRACE_PERIOD
from devstack.flows.run import FlowCall, run_flow
from devstack.flows.source import read_source
from devstack.schema import FlowRun, dump
from devstack.waits import SystemClock
from tests.fakes.api import FakeApi, path_of
from tests.support.task_objects import NAMESPACE, RUN, job, task_pod, unschedulable_pod

# Acts like a flow's file: writes its run id, then does what the test requests.
PREAMBLE = f"""
import json, os, signal, sys, time
from pathlib import Path
def identify():
    place = Path(sys.argv[sys.argv.index("--runner-attribute-file") + 1])
    place.write_text(json.dumps({{"flow_name": "MyFlow", "run_id": {RUN!r}}}))
"""


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def env(api: FakeApi, tmp_path: Path) -> FlowEnvironment:
    return FlowEnvironment(
        environment={"METAFLOW_PROFILE": "devstack"},
        python=Path(sys.executable),
        namespace=NAMESPACE,
        kube=api.client(),
        logs=tmp_path / "logs",
    )


def call(folder: Path, text: str, **options: object) -> FlowCall:
    path = folder / "my_flow.py"
    path.write_text(PREAMBLE + text)
    return FlowCall(read_source(path), **options)  # type: ignore[arg-type]


def test_a_flow_that_succeeds_reports_each_line(env: FlowEnvironment, tmp_path: Path) -> None:
    lines: list[str] = []
    text = "identify(); print(os.environ['METAFLOW_PROFILE']); print('warned', file=sys.stderr)"
    result = run_flow(call(tmp_path, text, on_line=lines.append), env)
    assert result.ok
    assert result.pathspec == f"MyFlow/{RUN}"
    assert sorted(lines) == ["devstack", "warned"]
    assert sorted(result.log.read_text().splitlines()) == ["devstack", "warned"]
    assert result.log.stat().st_mode & 0o777 == 0o600


def test_a_flow_continues_if_the_reader_of_its_output_exits(
    env: FlowEnvironment, tmp_path: Path
) -> None:
    def no_reader(_line: str) -> None:
        raise BrokenPipeError

    text = "identify()\nfor number in range(3): print(number)"
    result = run_flow(call(tmp_path, text, on_line=no_reader), env)
    assert result.ok
    assert result.output == ["0", "1", "2"]
    assert result.log.read_text() == "0\n1\n2\n"


def test_a_flow_may_print_any_character_in_any_locale(tmp_path: Path) -> None:
    log = tmp_path / "flow.log"
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from devstack.flows.flow_process import FlowProcess, ignore\n"
        "show = [sys.executable, '-c', 'print(chr(0x65e5)); print(2)']\n"
        "variables = {**os.environ, 'PYTHONIOENCODING': 'utf-8'}\n"
        "sys.exit(FlowProcess(show, variables, Path(sys.argv[1]), ignore).finish())\n"
    )
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(log)],
        env={**os.environ, **locale},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert log.read_text(encoding="utf-8") == "日\n2\n"


def test_a_failure_is_reported_with_the_end_of_the_pods_log(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    api.add(task_pod("t-1", "train", phase="Failed"))
    api.logs[f"/api/v1/namespaces/{NAMESPACE}/pods/t-1/log"] = "loading\nValueError: no data\n"
    result = run_flow(call(tmp_path, "identify(); sys.exit(1)"), env)
    error = failure_of(result)
    assert not result.ok
    assert (error.code, int(error.exit_status)) == ("FLOW_FAILED", 5)
    assert "step train" in error.cause
    assert "pod t-1" in error.cause
    assert error.output_tail == ["loading", "ValueError: no data"]


def test_a_pod_whose_container_just_failed_is_reported_though_its_phase_is_still_running(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    began, ended = "2026-11-21T12:00:01Z", "2026-11-21T12:00:02Z"
    api.add(task_pod("t-1", "train", started=began, ended=ended, reason="Error"))
    api.logs[f"/api/v1/namespaces/{NAMESPACE}/pods/t-1/log"] = "ValueError: no data\n"
    result = run_flow(call(tmp_path, "identify(); sys.exit(1)"), env)
    assert [pod.phase for pod in result.pods] == ["Failed"]
    assert failure_of(result).output_tail == ["ValueError: no data"]


def test_a_pod_whose_retry_succeeded_is_not_reported_for_a_later_failure(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    api.add(task_pod("t-1", "train", phase="Failed"), task_pod("t-2", "train"))
    output = "print('ValueError: no join'); print('    Step join (task-id 9) failed.')"
    error = failure_of(run_flow(call(tmp_path, f"identify(); {output}; sys.exit(1)"), env))
    assert error.cause == f"step join of run {RUN} failed"
    assert "ValueError: no join" in error.output_tail


def test_of_several_attempts_the_last_one_is_quoted(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    for name, attempt in (("t-1", "1"), ("t-2", "0")):
        pod = task_pod(name, "train", phase="Failed")
        pod["metadata"]["annotations"]["metaflow/attempt"] = attempt
        api.add(pod)
    output = "print('    Step train (task-id 9) failed.')"
    error = failure_of(run_flow(call(tmp_path, f"identify(); {output}; sys.exit(1)"), env))
    assert error.cause == f"step train of run {RUN} failed in pod t-1"


@pytest.mark.parametrize(
    ("ended", "cause", "remedy"),
    [
        (
            {"reason": "OOMKilled", "exitCode": 137, "message": "the end of the log"},
            "(OOMKilled, exit status 137)",
            "more memory",
        ),
        (
            {"reason": "StartError", "exitCode": 128, "message": "exec:\n no such"},
            "(StartError, exit status 128): exec: no such",
            "image",
        ),
        ({"reason": "Error", "exitCode": 1}, "failed in pod t-1", "all of its output"),
    ],
)
def test_the_report_has_the_reason_of_the_kubelet(
    env: FlowEnvironment,
    api: FakeApi,
    tmp_path: Path,
    ended: dict[str, object],
    cause: str,
    remedy: str,
) -> None:
    pod = task_pod("t-1", "train", phase="Failed")
    pod["status"]["containerStatuses"] = [{"name": "train", "state": {"terminated": ended}}]
    api.add(pod)
    error = failure_of(run_flow(call(tmp_path, "identify(); sys.exit(1)"), env))
    assert error.cause.endswith(cause)
    assert remedy in error.remedy


def test_a_pod_that_was_killed_while_it_started_does_not_blame_its_image(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    pod = task_pod("t-1", "train", phase="Failed")
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 1}}
    pod["status"]["containerStatuses"] = [{"name": "train", "state": ended}]
    api.add(pod)
    api.logs[f"/api/v1/namespaces/{NAMESPACE}/pods/t-1/log"] = "devstack: the image lacks boto3\n"
    error = failure_of(run_flow(call(tmp_path, "identify(); sys.exit(1)"), env))
    assert error.cause.endswith("(OOMKilled)")
    assert "more memory" in error.remedy


def test_a_pod_past_its_deadline_is_reported_as_such(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    message = "Pod was active on the node longer than the specified deadline"
    api.add(
        task_pod("t-1", "train")
        | {"status": {"phase": "Failed", "reason": "DeadlineExceeded", "message": message}}
    )
    error = failure_of(run_flow(call(tmp_path, "identify(); sys.exit(1)"), env))
    assert error.cause.endswith(f"(DeadlineExceeded): {message}")
    assert "longer @timeout" in error.remedy


def test_a_failure_before_any_pod_is_reported_with_the_flows_output(
    env: FlowEnvironment, tmp_path: Path
) -> None:
    error = failure_of(run_flow(call(tmp_path, "print('no such option'); sys.exit(2)"), env))
    assert "status 2" in error.cause
    assert error.output_tail == ["no such option"]


def test_a_file_that_starts_no_flow_is_not_a_success(env: FlowEnvironment, tmp_path: Path) -> None:
    result = run_flow(call(tmp_path, "pass"), env)
    assert not result.ok
    assert failure_of(result).code == "FLOW_NOT_STARTED"


def test_a_pod_that_can_never_start_stops_the_flow(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    api.add(job("t-1"), unschedulable_pod("t-1-x", "0/1 nodes: Insufficient cpu.", cpu="64"))
    api.add(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "node"},
            "status": {"allocatable": {"cpu": "2", "pods": "110"}},
        }
    )
    # The pod is deleted with its Job, as by the garbage collector.
    pod = path_of(unschedulable_pod("t-1-x", ""))
    waiting = "identify()\ntry: time.sleep(600)\nexcept KeyboardInterrupt: print('interrupted')"

    def note(text: str) -> None:
        if text.startswith("stopping"):
            del api.objects[pod]

    result = run_flow(call(tmp_path, waiting, note=note), env)
    error = failure_of(result)
    assert error.code == "POD_UNSCHEDULABLE"
    assert "offers 2 cpu (64 requested)" in error.cause
    assert "interrupted" in result.log.read_text()
    assert not result.output
    assert path_of(job("t-1")) not in api.objects


def test_a_flow_that_takes_too_long_is_stopped(env: FlowEnvironment, tmp_path: Path) -> None:
    result = run_flow(call(tmp_path, "identify(); time.sleep(600)", timeout=0.5), env)
    assert failure_of(result).code == "FLOW_TIMEOUT"
    assert result.returncode in (-signal.SIGINT, 1)


def test_an_interrupted_flow_leaves_no_process_and_no_job(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    api.add(job("t-1"))
    stop = threading.Event()
    pids: list[int] = []

    def started(line: str) -> None:
        if line.isdigit():
            pids.append(int(line))
            stop.set()

    # A grandchild, as Metaflow's workers are; it ignores SIGINT.
    text = (
        "import subprocess\nidentify()\n"
        "deaf = 'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        " print(1, flush=True); time.sleep(600)'\n"
        "child = subprocess.Popen([sys.executable, '-c', deaf], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nprint(child.pid, flush=True)\ntime.sleep(600)\n"
    )
    api.add(task_pod("t-1-a", "train"), task_pod("t-1-b", "train"), task_pod("t-1-c", "score"))
    reports: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_flow(call(tmp_path, text, on_line=started, stop=stop, report=reports.append), env)
    assert path_of(job("t-1")) not in api.objects
    steps = "1 pod of step score, 2 pods of step train"
    assert reports[0] == f"stopping MyFlow/{RUN}: {steps}"
    assert "none of its pods is running" in reports[1]
    assert pids
    assert not any(_lives(pid) for pid in pids)


def test_a_flow_that_ignores_interrupts_is_stopped_within_seconds(
    env: FlowEnvironment, tmp_path: Path
) -> None:
    stop = threading.Event()
    stopping: list[float] = []

    def started(_line: str) -> None:
        stopping.append(time.monotonic())
        stop.set()

    text = "signal.signal(signal.SIGINT, signal.SIG_IGN); identify(); print(1); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        run_flow(call(tmp_path, text, on_line=started, stop=stop), env)
    assert time.monotonic() - stopping[0] < STOP_GRACE_PERIOD / 2


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_short_api_outage_does_not_end_the_flow(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    api.refuse("GET", "/pods", 503, "ServiceUnavailable", "away")
    notes: list[str] = []
    text = "identify(); time.sleep(1.5)"
    assert run_flow(call(tmp_path, text, note=notes.append), env).ok
    assert "away" in notes[0]


class FastClock(SystemClock):
    """A clock that advances by a minute with each call."""

    def __init__(self) -> None:
        self._passed = 0.0

    def now(self) -> float:
        self._passed += 60
        return self._passed


def test_an_unreachable_cluster_stops_a_flow_that_would_retry_without_limit(
    api: FakeApi, env: FlowEnvironment, tmp_path: Path
) -> None:
    for _ in range(20):
        api.refuse("GET", "/pods", 503, "ServiceUnavailable", "gone")
    # It has not even written its run id: Metaflow contacts its datastore first.
    result = run_flow(call(tmp_path, "time.sleep(600)"), env, FastClock())
    error = failure_of(result)
    assert error.code == "API_SERVER_FAULT"
    assert "was stopped" in error.message


def test_an_unreachable_api_does_not_hide_how_the_flow_ended(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    text = "identify(); print('connection refused'); sys.exit(1)"
    for _ in range(9):
        api.refuse("GET", "/pods", 503, "ServiceUnavailable", "gone")
        api.refuse("GET", "/jobsets", 503, "ServiceUnavailable", "gone")
    notes: list[str] = []
    error = failure_of(run_flow(call(tmp_path, text, note=notes.append), env))
    assert error.code == "FLOW_FAILED"
    assert error.output_tail == ["connection refused"]
    assert any("pods of the run may still be running" in note for note in notes)


def test_a_real_metaflow_run_is_recognised(env: FlowEnvironment, tmp_path: Path) -> None:
    path = tmp_path / "real.py"
    path.write_text(
        "from metaflow import FlowSpec, step\n"
        "class RealFlow(FlowSpec):\n"
        "    @step\n    def start(self):\n        self.next(self.end)\n"
        "    @step\n    def end(self):\n        pass\n"
        "if __name__ == '__main__':\n    RealFlow()\n"
    )
    settings = {
        "METAFLOW_HOME": str(tmp_path),
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(tmp_path),
        "METAFLOW_USER": "tester",
    }
    local = FlowEnvironment(settings, env.python, env.namespace, env.kube, env.logs)
    result = run_flow(FlowCall(read_source(path), local=True), local)
    assert result.ok, result.output
    assert result.flow == "RealFlow"
    assert json.dumps(dump(FlowRun, result))
    assert (tmp_path / ".metaflow" / "RealFlow" / result.run_id).is_dir()


def test_a_tag_that_a_pod_would_not_get_exactly_is_rejected_before_the_flow_starts(
    env: FlowEnvironment, tmp_path: Path
) -> None:
    started = f"Path({str(tmp_path / 'started')!r}).touch(); identify()"
    tagged = ("--tag", "it's")
    with pytest.raises(DevstackError) as caught:
        run_flow(call(tmp_path, started, arguments=tagged), env)
    assert caught.value.code == "FLOW_VALUE_UNSUPPORTED"
    assert not (tmp_path / "started").exists()
    assert run_flow(call(tmp_path, started, arguments=tagged, local=True), env).ok


def test_the_users_file_of_the_runs_attributes_is_written_as_well(
    env: FlowEnvironment, tmp_path: Path
) -> None:
    # As click does, take the last file that is named.
    last = "sys.argv = sys.argv[sys.argv.index('--runner-attribute-file') + 2:]; identify()"
    file = tmp_path / "theirs.json"
    result = run_flow(call(tmp_path, last, arguments=("--runner-attribute-file", str(file))), env)
    assert result.ok
    assert json.loads(file.read_text())["run_id"] == RUN
