"""Compile the flows and pipelines of this folder again, after an update of their packages.

Run it with a Python that has metaflow, metaflow-kubeflow and kfp:
``PYTHONPATH=ROOT python tests/unit/data/kubeflow/regenerate.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fakes.s3 import fake_s3

HERE = Path(__file__).parent
ROOT = HERE.parents[3]


def main() -> None:
    """Write one file for each flow and each pipeline."""
    with fake_s3() as address, tempfile.TemporaryDirectory() as home:
        Path(home, "config_devstack.json").write_text("{}")
        for flow in sorted(HERE.glob("*_flow.py")):
            # Outside of a Git repository, whose commit would be part of the result.
            shutil.copy(flow, home)
            argv = [sys.executable, flow.name, "--no-pylint", "kubeflow-pipelines"]
            made = subprocess.run(
                [*argv, "create", "--only-yaml"],
                env={**os.environ, **_variables(home, address)},
                cwd=home,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            start = made.stdout.index("# PIPELINE DEFINITION")
            flow.with_suffix(".yaml").write_text(made.stdout[start:].rstrip() + "\n")
    subprocess.run([sys.executable, "kfp_only.py", str(HERE)], cwd=HERE, check=True)


def _variables(home: str, s3: str) -> dict[str, str]:
    return {
        "DEVSTACK_EXECUTABLE": "/bin/false",
        "METAFLOW_PROFILE": "devstack",
        "METAFLOW_HOME": home,
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": home,
        "METAFLOW_KUBERNETES_NAMESPACE": "metaflow",
        "METAFLOW_KUBERNETES_SECRETS": "stack-keys",
        "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "metaflow-task",
        "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "devstack/task:1",
        "METAFLOW_USER": "tester",
        "AWS_ENDPOINT_URL_S3": s3,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "word",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": f"{ROOT}/devstack/metaflow_extension",
    }


if __name__ == "__main__":
    main()
