"""Try the datastore and the metadata service with the settings that a flow's process has.

The program runs in the flow's Python, in its folder and environment, and without devstack:
its text is passed with ``-c``. It imports the flow's file, as Metaflow does for each task, so
that changes of ``os.environ`` by that file, or by a module that it imports, take effect. Then
it tries each service once, where Metaflow retries for an hour.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError
from devstack.process import SubprocessRunner

PROBE_TIMEOUT = 30.0
"""Seconds for the program: it imports Metaflow, and waits a few seconds for each service."""

IMPORT_TIMEOUT = 10
"""Seconds for the import of the flow's file, after which its changes so far count."""

_PROGRAM = """
import json, os, runpy, signal, sys
sys.path[:] = [folder for folder in sys.path if folder]
flow, seconds, datastore, metadata, kubeconfig = sys.argv[1:]
found = []
given = dict(os.environ)
def give_up(*_):
    raise TimeoutError
def import_flow():
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(seconds))
    sys.path.insert(0, os.path.dirname(os.path.abspath(flow)))
    sys.argv[:] = [flow]
    try:
        runpy.run_path(flow, run_name="flow")
    except BaseException:
        pass  # it may need what only its image has
    finally:
        signal.alarm(0)
def report(service, address, problem, keys=""):
    found.append([service, address, problem, keys])
def s3():
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from metaflow.metaflow_config import DATASTORE_SYSROOT_S3, DATATOOLS_CLIENT_PARAMS
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=4, read_timeout=6)
    address, keys = "", ""
    try:
        session = boto3.session.Session()
        credentials = session.get_credentials()
        keys = credentials.method if credentials else "no place"
        client = session.client("s3", **{**DATATOOLS_CLIENT_PARAMS, "config": once})
        address = client.meta.endpoint_url
        bucket, _, prefix = DATASTORE_SYSROOT_S3.partition("://")[2].partition("/")
        client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        problem = ""
    except ClientError as error:
        code, text = (error.response["Error"].get(key, "") for key in ("Code", "Message"))
        verb = "rejects the request"
        if code in ("NoSuchBucket", "AccessDenied", "AllAccessDisabled"):
            verb = "gives no access to " + DATASTORE_SYSROOT_S3
        elif "Key" in code or "Token" in code or "Signature" in code:
            verb = "rejects the keys"
        problem = f"{verb} ({code}: {text})"
    except BotoCoreError as error:
        problem = f"cannot be used: {error}"
        if "Connect" in type(error).__name__ or "Timeout" in type(error).__name__:
            problem = f"does not answer ({error})"
    except Exception as error:
        problem = f"cannot be used: {error}"
    report("S3", address, problem, keys)
def service():
    import requests
    from metaflow.metaflow_config import SERVICE_HEADERS, SERVICE_URL
    problem = ""
    try:
        headers = {str(name): str(value) for name, value in SERVICE_HEADERS.items()}
        answer = requests.get(SERVICE_URL + "/ping", headers=headers, timeout=6)
        if answer.status_code != 200:
            problem = f"answers with status {answer.status_code}"
    except Exception as error:
        problem = f"does not answer ({error})"
    report("the metadata service", SERVICE_URL, problem)
def cluster():
    import socket, ssl, urllib.parse, yaml
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    file = os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
    address, problem = file, ""
    try:
        with open(file) as text:
            config = yaml.safe_load(text)
        contexts = {each["name"]: each["context"] for each in config["contexts"]}
        clusters = {each["name"]: each["cluster"] for each in config["clusters"]}
        address = clusters[contexts[config["current-context"]]["cluster"]]["server"]
        url = urllib.parse.urlsplit(address)
        with socket.create_connection((url.hostname, url.port or 443), timeout=4) as plain:
            if url.scheme == "https":
                context.wrap_socket(plain).close()
    except OSError as error:
        problem = f"does not answer ({error})"
    except Exception as error:
        problem = f"is not named in it ({error!r})"
    report("the Kubernetes API", address, problem)
if flow:
    import_flow()
from metaflow.metaflow_config import DEFAULT_DATASTORE, DEFAULT_METADATA
if (datastore or DEFAULT_DATASTORE) == "s3":
    s3()
if (metadata or DEFAULT_METADATA) == "service":
    service()
if os.environ.get("KUBECONFIG", "") != kubeconfig:
    cluster()
changed = [name for name in {*given, *os.environ} if given.get(name) != os.environ.get(name)]
print()
print(json.dumps([changed, found]))
"""


@dataclass(frozen=True)
class ServiceCheck:
    """What one service answered.

    Attributes:
        service: S3, the metadata service, or the Kubernetes API.
        address: its address.
        problem: why it cannot be used; empty if it can.
        keys: how boto3 found the keys: ``env``, ``shared-credentials-file``.
    """

    service: str
    address: str
    problem: str
    keys: str = ""

    def __str__(self) -> str:
        """Return the sentence for a service that cannot be used."""
        address = f" at {self.address}" if self.address else ""
        return f"{self.service}{address} {self.problem}"


@dataclass(frozen=True)
class ProbeResult:
    """What the program found.

    Attributes:
        changed: the variables that the flow's file and what it imports change.
        checks: one for each service that the flow uses.
    """

    changed: Collection[str] = ()
    checks: Sequence[ServiceCheck] = ()


def probe_settings(
    python: Path,
    variables: Mapping[str, str],
    flow: Path,
    *,
    datastore: str = "",
    metadata: str = "",
    kubeconfig: str = "",
) -> ProbeResult:
    """Try the services with the settings of a flow's process.

    Args:
        python: the interpreter that runs the flow.
        variables: the complete environment of the process.
        flow: the flow's file; it is imported, without output.
        datastore: the datastore that an option names; by default the settings'.
        metadata: the metadata service that an option names.
        kubeconfig: the stack's kubeconfig; the cluster of another one is tried.

    Returns:
        What it found; nothing if the program fails.
    """
    options = [str(flow), str(IMPORT_TIMEOUT), datastore, metadata, kubeconfig]
    argv = [str(python), "-c", _PROGRAM, *options]
    complete: dict[str, str | None] = {**dict.fromkeys(os.environ), **variables}
    try:
        done = SubprocessRunner().run(argv, env=complete, timeout=PROBE_TIMEOUT)
        changed, checks = json.loads(done.stdout.splitlines()[-1])
    except (DevstackError, ValueError, IndexError):
        return ProbeResult()
    return ProbeResult(changed, [ServiceCheck(*check) for check in checks])
