"""Arguments after ``--``, interpreters and interruptions, with real runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path
from textwrap import dedent

from devstack.errors import ExitStatus
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.support.commandline import Devstack

SMALL = "memory=128, cpu=0.05, disk=100"
PODS_END = 10.0
"""Seconds after Ctrl-C until no pod of a wide foreach may be left."""


def write_flow(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def query_flow(folder: Path) -> Path:
    """Write a flow that reads a file beside it, which is not Python."""
    (folder / "query.sql").write_text("select 1")
    return write_flow(
        folder,
        "query.py",
        f"""
        from pathlib import Path
        from metaflow import FlowSpec, Parameter, kubernetes, step
        class QueryFlow(FlowSpec):
            '''Reads a file.'''
            n = Parameter("n", default=1, help="How many.")
            @kubernetes({SMALL})
            @step
            def start(self):
                self.text = (Path(__file__).parent / "query.sql").read_text()
                self.next(self.end)
            @step
            def end(self):
                print("read", self.text, self.n)
        if __name__ == "__main__":
            QueryFlow()
        """,
    )


def test_top_level_options_and_tags_reach_the_pods(stack: Devstack, tmp_path: Path) -> None:
    flow = str(query_flow(tmp_path))
    tags = ["#a,b", "a b", "a$HOME", "Málaga"]
    tagged = [argument for tag in tags for argument in ("--tag", tag)]
    options = ["--package-suffixes", ".sql", "--no-pylint", "--max-workers", "2", *tagged]
    run = stack.json("run", "--local", flow, "--", *options, "--n", "3")["data"]
    program = (
        "import json, metaflow; metaflow.namespace(None);"
        f"print(json.dumps(sorted(metaflow.Run('QueryFlow/{run['run_id']}').user_tags)))"
    )
    shown = stack.run("shell", "--", sys.executable, "-c", program).stdout
    assert json.loads(shown.splitlines()[-1]) == sorted(tags)
    resumed = stack.run("run", "--local", flow, "--", "resume", "end", "--package-suffixes=.sql")
    assert "read select 1 3" in resumed.stdout


def test_a_tag_that_a_pod_would_not_get_is_rejected(stack: Devstack, tmp_path: Path) -> None:
    flow = str(query_flow(tmp_path))
    envelope = stack.json("run", flow, "--", "--tag", "it's", check=False)
    assert envelope["error"]["code"] == "FLOW_VALUE_UNSUPPORTED"
    assert '--tag "it\'s"' in envelope["error"]["message"]


def test_metaflows_other_commands_work_as_without_devstack(stack: Devstack, tmp_path: Path) -> None:
    flow = str(query_flow(tmp_path))
    helped = stack.run("run", flow, "--", "--help")
    assert "How many." in helped.stdout
    assert "--origin-run-id" in stack.run("run", flow, "--", "resume", "--help").stdout
    assert "Reads a file." in stack.run("run", flow, "--", "show").stderr
    wrong = stack.run("run", flow, "--", "show", "--no-such-option", check=False)
    plain = stack.run("shell", "--", sys.executable, flow, "show", "--no-such-option", check=False)
    assert wrong.returncode == plain.returncode != 0
    assert (wrong.stdout, wrong.stderr) == (plain.stdout, plain.stderr)


def test_the_active_virtual_environment_runs_the_flow(stack: Devstack, tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    python = folder / "bin" / "python"
    theirs = Path(subprocess.check_output([python, "-c", query], text=True).strip())
    ours = subprocess.check_output([sys.executable, "-c", query], text=True).strip()
    (theirs / "ours.pth").write_text(ours + "\n")
    (theirs / "house_rules.py").write_text("RULE = 'tidy up'\n")
    flow = write_flow(
        tmp_path,
        "house.py",
        """
        import house_rules
        from metaflow import FlowSpec, step
        class HouseFlow(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self):
                print(house_rules.RULE)
        if __name__ == "__main__":
            HouseFlow()
        """,
    )
    active = Devstack(stack.name, stack.home, {"VIRTUAL_ENV": str(folder)})
    done = active.run("run", "--local", str(flow))
    assert f"Python: {python} (active virtual environment), Metaflow" in done.stdout
    assert "tidy up" in done.stdout
    named = stack.run("run", "--local", "--python", str(folder), str(flow))
    assert f"Python: {python} (--python)" in named.stdout


def test_ctrl_c_in_a_wide_foreach_leaves_no_pod_after_seconds(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = write_flow(
        tmp_path,
        "wide.py",
        """
        import time
        from metaflow import FlowSpec, kubernetes, step
        class WideFlow(FlowSpec):
            @step
            def start(self):
                self.items = list(range(16))
                self.next(self.work, foreach="items")
            @kubernetes(memory=64, cpu=0.02, disk=50)
            @step
            def work(self):
                time.sleep(600)
                self.next(self.join)
            @step
            def join(self, inputs):
                self.next(self.end)
            @step
            def end(self):
                pass
        if __name__ == "__main__":
            WideFlow()
        """,
    )
    running = stack.start("run", "--local", str(flow))
    selector = ("-n", "metaflow", "-l", "app.kubernetes.io/part-of=metaflow")

    def active() -> list[str]:
        answer = stack.kubectl("get", "pods", *selector, "-o", "json")
        pods = json.loads(answer.stdout)["items"]
        return [
            pod["metadata"]["name"]
            for pod in pods
            if pod["status"]["phase"] in ("Pending", "Running")
        ]

    def observe() -> Observation:
        count = len(active())
        return Ready() if count >= 8 else Waiting(f"{count} pods")

    wait_until(observe, what="8 pods", timeout=240, clock=SystemClock(), interval=1)
    began = time.monotonic()
    os.kill(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    seconds = time.monotonic() - began
    assert running.returncode == ExitStatus.INTERRUPTED, errors
    assert active() == []
    assert "stopping WideFlow/" in errors
    assert "of step work" in errors
    assert seconds < PODS_END, errors
