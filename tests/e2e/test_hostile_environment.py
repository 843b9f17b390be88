"""Runs in an environment, a project and a home folder that are set up for another cluster."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from textwrap import dedent

from devstack.errors import ExitStatus
from tests.support.commandline import Devstack

SMALL = "memory=128, cpu=0.05, disk=100"
NOWHERE = "http://127.0.0.1:9"


def company_laptop(folder: Path) -> dict[str, str]:
    """Return the variables of a company's laptop, and write the files that they name."""
    (folder / "metaflow").mkdir()
    elsewhere = {
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_SERVICE_URL": NOWHERE,
        "METAFLOW_KUBERNETES_NAMESPACE": "ml-prod",
    }
    (folder / "metaflow" / "config_corp.json").write_text(json.dumps(elsewhere))
    (folder / "aws").write_text(
        f"[profile corp]\nregion = eu-west-1\nendpoint_url = {NOWHERE}\nservices = corp\n"
        f"[services corp]\ns3 =\n  endpoint_url = {NOWHERE}\n"
    )
    (folder / "kubeconfig").write_text("kind: Config\napiVersion: v1\nclusters: []\n")
    (folder / "profile.sh").write_text("export METAFLOW_DATASTORE=local; cd /; echo noise\n")
    return {
        "METAFLOW_HOME": str(folder / "metaflow"),
        "METAFLOW_PROFILE": "corp",
        "METAFLOW_DATASTORE": "local",
        "METAFLOW_METADATA": "local",
        "METAFLOW_ENVIRONMENT": "conda",
        "METAFLOW_KUBERNETES_IMAGE_PULL_POLICY": "Always",
        "METAFLOW_DEFAULT_DECOSPECS": "retry:times=0",
        "AWS_PROFILE": "corp",
        "AWS_CONFIG_FILE": str(folder / "aws"),
        "AWS_SESSION_TOKEN": "stale",
        "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z",
        "AWS_CA_BUNDLE": "/nowhere/ca.pem",
        "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem",
        "SSL_CERT_FILE": "/nowhere/ca.pem",
        "KUBECONFIG": str(folder / "kubeconfig"),
        "DOCKER_HOST": "tcp://127.0.0.1:9",
        "DOCKER_DEFAULT_PLATFORM": "linux/s390x",
        "KIND_EXPERIMENTAL_PROVIDER": "podman",
        "BASH_ENV": str(folder / "profile.sh"),
        "CDPATH": f".:{folder}",
        "GLOBIGNORE": "*",
        "PYTHONSAFEPATH": "1",
        "PYTHONWARNINGS": "default",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_TARGET": str(folder / "target"),
        "TMPDIR": "/nowhere",
        "LC_ALL": "xx_YY",
        "PYTHONIOENCODING": "ascii",
    }


def test_the_environment_of_a_company_does_not_redirect_a_run(
    stack: Devstack, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / ".metaflow").mkdir(parents=True)
    theirs = {
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://corp/metaflow",
        "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "ml",
    }
    (project / ".metaflow" / "config.json").write_text(json.dumps(theirs))
    (project / "where.py").write_text(
        dedent(
            f"""
            import os
            from metaflow import FlowSpec, current, kubernetes, step
            from metaflow.metaflow_config import DATASTORE_SYSROOT_S3
            class WhereFlow(FlowSpec):
                @kubernetes({SMALL})
                @step
                def start(self):
                    self.root = DATASTORE_SYSROOT_S3
                    self.next(self.end)
                @step
                def end(self):
                    print(self.root, "pod", "KUBERNETES_SERVICE_HOST" in os.environ)
            if __name__ == "__main__":
                WhereFlow()
            """
        )
    )
    laptop = Devstack(stack.name, stack.home, company_laptop(tmp_path))
    done = laptop.run("run", "--local", "where.py", cwd=project)
    assert "s3://metaflow/metaflow pod False" in done.stdout
    assert "start on the cluster (their own decorator); end on this machine" in done.stdout
    assert "on the cluster: start; on this machine: end" in done.stdout
    run_id = done.stdout.partition("WhereFlow/")[2].split()[0]
    program = (
        "import metaflow; metaflow.namespace(None);"
        f"print(metaflow.Run('WhereFlow/{run_id}')['end'].task.data.root)"
    )
    shown = laptop.run("shell", "--", sys.executable, "-c", program, cwd=project)
    assert shown.stdout.splitlines()[-1] == "s3://metaflow/metaflow"
    assert not (tmp_path / "target").exists()


def test_a_run_that_makes_no_progress_says_what_it_waits_for_and_who_set_it(
    stack: Devstack, tmp_path: Path
) -> None:
    """The step's token makes S3 reject its keys, which Metaflow retries for an hour."""
    flow = tmp_path / "stale.py"
    flow.write_text(
        dedent(
            f"""
            import os
            from metaflow import FlowSpec, kubernetes, step
            class StaleFlow(FlowSpec):
                @kubernetes({SMALL})
                @step
                def start(self):
                    os.environ["AWS_SESSION_TOKEN"] = "stale"
                    self.data = os.urandom(10)
                    self.next(self.end)
                @step
                def end(self):
                    pass
            if __name__ == "__main__":
                StaleFlow()
            """
        )
    )
    running = stack.start("run", "--local", str(flow))
    assert running.stderr is not None
    report = next((line for line in running.stderr if "no progress for" in line), "")
    os.kill(running.pid, signal.SIGINT)
    running.communicate(timeout=120)
    assert "step start in pod" in report
    assert "rejects the keys" in report
    assert "AWS_SESSION_TOKEN: set by stale.py, line 8" in report
    assert running.returncode == ExitStatus.INTERRUPTED
