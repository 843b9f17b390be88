"""Flows of the user's own, good and bad, through the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from devstack.errors import ExitStatus
from devstack.flows.flow_process import STOP_GRACE_PERIOD
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

SMALL = "memory=128, cpu=0.05, disk=100"


def write_flow(folder: Path, body: str, decorator: str = "", name: str = "own.py") -> Path:
    """Write a flow whose start step runs ``body``."""
    lines = [
        "import os, sys, time",
        "from metaflow import FlowSpec, Parameter, kubernetes, step",
        "class OwnFlow(FlowSpec):",
        "    n = Parameter('n', default=1)",
        f"    {decorator}" if decorator else "",
        "    @step",
        "    def start(self):",
        *(f"        {line}" for line in dedent(body).strip().splitlines()),
        "        self.next(self.end)",
        "    @step",
        "    def end(self):",
        "        print('n is', self.n, 'pod', 'KUBERNETES_SERVICE_HOST' in os.environ)",
        "if __name__ == '__main__':",
        "    OwnFlow()",
    ]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def unfinished_pods(stack: Devstack) -> list[str]:
    """Return the task pods that have not ended."""
    answer = stack.kubectl("get", "pods", "-n", "metaflow", "-o", "json")
    pods = json.loads(answer.stdout)["items"]
    return [
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"]["phase"] not in ("Succeeded", "Failed")
    ]


def wait_for_running_pod(stack: Devstack) -> str:
    """Wait until a task pod runs; return its name."""

    def observe() -> Observation:
        answer = stack.kubectl("get", "pods", "-n", "metaflow", "-o", "json")
        phases = [pod["status"]["phase"] for pod in json.loads(answer.stdout)["items"]]
        return Ready() if "Running" in phases else Waiting(f"phases {phases}")

    wait_until(observe, what="a task pod", timeout=180, clock=SystemClock(), interval=1)
    return unfinished_pods(stack)[0]


def test_a_flow_without_decorators_runs_on_the_cluster(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, "pass")
    done = stack.run("run", str(flow), "--", "--n", "3")
    assert "n is 3 pod True" in done.stdout


def test_a_proxy_is_not_used_for_the_stack(stack: Devstack, tmp_path: Path) -> None:
    """Nothing listens there, so a flow that used it would fail."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy"), "http://127.0.0.1:9")
    behind = Devstack(stack.name, stack.home, nowhere)
    done = behind.run("run", str(write_flow(tmp_path, "pass")))
    assert "n is 1 pod True" in done.stdout


def test_a_local_flow_stays_on_this_machine(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, "pass")
    done = stack.run("run", str(flow), "--local")
    assert "n is 1 pod False" in done.stdout


def test_the_users_folder_is_not_changed(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, "pass")
    stack.run("run", str(flow), "--local", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]


def test_a_failing_flow_ends_with_its_status_and_the_pods_output(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = write_flow(tmp_path, "sys.exit('the disk is on fire')", f"@kubernetes({SMALL})")
    envelope = stack.json("run", str(flow), check=False)
    assert envelope["status"] == "error"
    assert envelope["error"]["code"] == "FLOW_FAILED"
    assert "step start" in envelope["error"]["cause"]
    assert any("the disk is on fire" in line for line in envelope["error"]["output"])
    assert envelope["data"]["pods"][0]["phase"] == "Failed"


def test_one_failing_task_leaves_none_of_the_others_running(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = tmp_path / "fan.py"
    flow.write_text(
        dedent(f"""
        import time
        from metaflow import FlowSpec, kubernetes, step
        class FanFlow(FlowSpec):
            @step
            def start(self):
                self.items = [1, 2]
                self.next(self.work, foreach="items")
            @kubernetes({SMALL})
            @step
            def work(self):
                if self.input == 2:
                    raise ValueError("item 2 is bad")
                time.sleep(600)
                self.next(self.join)
            @step
            def join(self, inputs):
                self.next(self.end)
            @step
            def end(self):
                pass
        if __name__ == "__main__":
            FanFlow()
        """)
    )
    done = stack.run("run", "--local", str(flow), check=False)
    assert done.returncode == ExitStatus.FLOW_FAILED
    assert "item 2 is bad" in done.stderr
    assert unfinished_pods(stack) == []


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        ("memory=900000, cpu=0.05, disk=100", "POD_UNSCHEDULABLE", "memory"),
        ("memory=128, cpu=500, disk=100", "POD_UNSCHEDULABLE", "cpu"),
        (f"{SMALL}, node_selector='disk=moon'", "POD_UNSCHEDULABLE", "disk=moon"),
        (f"{SMALL}, persistent_volume_claims={{'moon': '/d'}}", "POD_UNSCHEDULABLE", "moon"),
        (f"{SMALL}, secrets=['moon']", "POD_CONFIG_MISSING", "moon"),
        (f"{SMALL}, image='moon.invalid/x:1'", "IMAGE_PULL_FAILED", "moon.invalid/x:1"),
    ],
)
def test_a_pod_that_can_never_start_fails_the_flow_and_names_the_reason(
    stack: Devstack, tmp_path: Path, arguments: str, code: str, named: str
) -> None:
    flow = write_flow(tmp_path, "pass", f"@kubernetes({arguments})")
    envelope = stack.json("run", str(flow), check=False, timeout=180)
    assert envelope["error"]["code"] == code
    assert named in envelope["error"]["cause"]
    assert ("devstack pvc create moon" in envelope["error"]["remedy"]) == ("volume" in arguments)
    assert unfinished_pods(stack) == []


@pytest.mark.parametrize(
    ("sign", "in_background"), [(signal.SIGINT, False), (signal.SIGTERM, True)]
)
def test_an_interruption_leaves_no_pod_and_no_process(
    stack: Devstack, tmp_path: Path, sign: signal.Signals, in_background: bool
) -> None:
    flow = write_flow(tmp_path, "time.sleep(600)", f"@kubernetes({SMALL})", f"nap{sign}.py")
    running = stack.start("run", str(flow), in_background=in_background)
    wait_for_running_pod(stack)
    began = time.monotonic()
    os.kill(running.pid, sign)
    _, errors = running.communicate(timeout=120)
    assert time.monotonic() - began < STOP_GRACE_PERIOD
    assert running.returncode == ExitStatus.INTERRUPTED, errors
    assert unfinished_pods(stack) == []
    # A deleted pod's processes get two seconds from the kubelet (minimumGracePeriodInSeconds).
    eventually("no process of the flow", lambda: not runs(flow.name), timeout=10)


def runs(text: str) -> bool:
    """Return True if a process of this machine, or of a pod on it, has the text in its command."""
    return text in subprocess.check_output(["ps", "axww"], text=True)


def test_a_flow_that_takes_too_long_is_stopped(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, "time.sleep(600)", f"@kubernetes({SMALL})")
    envelope = stack.json("run", "--timeout", "20", str(flow), check=False, timeout=180)
    assert envelope["error"]["code"] == "FLOW_TIMEOUT"
    assert unfinished_pods(stack) == []


def test_a_flow_survives_the_loss_of_minio(stack: Devstack, tmp_path: Path) -> None:
    body = """
    self.data = os.urandom(10)
    for _ in range(30):
        time.sleep(1)
    """
    flow = write_flow(tmp_path, body, f"@kubernetes({SMALL})")
    running = stack.start("run", "--local", str(flow))
    wait_for_running_pod(stack)
    stack.admin_kubectl("delete", "pod", "-n", "devstack", "-l", "app.kubernetes.io/name=minio")
    out, errors = running.communicate(timeout=300)
    assert running.returncode == ExitStatus.OK, errors
    assert "n is 1" in out


def test_metaflows_client_reads_the_results(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, "self.answer = 6 * 7", f"@kubernetes({SMALL})")
    run = stack.json("run", "--local", str(flow))["data"]
    program = (
        "import metaflow; metaflow.namespace(None);"
        f"print(metaflow.Run('OwnFlow/{run['run_id']}')['start'].task.data.answer)"
    )
    assert stack.run("shell", "--", "python", "-c", program).stdout.strip().endswith("42")


def test_a_task_pod_finds_metaflow_compiled(stack: Devstack, tmp_path: Path) -> None:
    """Bytecode in the image has no date; bytecode compiled in a pod has today's."""
    body = """
        import subprocess
        import metaflow.R as changed
        ours = [m for name, m in sys.modules.items() if name.split('.')[0] == 'metaflow']
        cached = [m.__cached__ for m in ours if getattr(m, '__cached__', None)]
        print('modules', len(cached), 'new', sum(os.stat(c).st_mtime > 0 for c in cached))
        with open(changed.__file__, 'a') as file:
            print('CHANGED = True', file=file)
        look = 'import metaflow.R; print("changed", metaflow.R.CHANGED)'
        subprocess.run([sys.executable, '-c', look], check=True)
    """
    flow = write_flow(tmp_path, body, f"@kubernetes({SMALL})")
    printed = stack.run("run", "--local", str(flow)).stdout
    ((modules, new),) = re.findall(r"modules (\d+) new (\d+)", printed)
    assert int(modules) > 100, printed
    assert new == "0"
    assert "changed True" in printed


def error_of(stack: Devstack, *argv: str, cwd: Path) -> dict[str, Any]:
    """Return the error of a failed command, and check that it is a usage error."""
    done = stack.run("run", "--json", *argv, check=False, cwd=cwd)
    assert done.returncode == ExitStatus.USAGE
    assert "Traceback" not in done.stderr
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    return error


def test_an_unknown_flow_names_the_closest_ones(stack: Devstack, tmp_path: Path) -> None:
    write_flow(tmp_path, "pass", name="train.py")
    assert "train.py" in error_of(stack, "trian.py", cwd=tmp_path)["remedy"]
    assert "parallel" in error_of(stack, "paralel", cwd=tmp_path)["remedy"]


def test_a_syntax_error_names_its_line(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, "self.x = (1,")
    error = error_of(stack, flow.name, cwd=tmp_path)
    assert error["code"] == "FLOW_SYNTAX"
    assert f"{flow.name}:8" in error["cause"]
    assert error["output"][0].strip() == "self.x = (1,"


def test_a_file_without_a_flow_is_rejected(stack: Devstack, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("x = 1\n")
    assert error_of(stack, "empty.py", cwd=tmp_path)["code"] == "FLOW_NOT_STARTED"
