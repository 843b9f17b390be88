"""Selection and retrieval of pods' logs."""

from __future__ import annotations

from dataclasses import dataclass

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import Object
from devstack.services.airflow.service import AirflowService
from devstack.stack import Stack

SERVICE_LABEL = "app.kubernetes.io/name"
"""The label of every pod of a service in k8s/; its value is the service's name."""


@dataclass(frozen=True)
class LogTarget:
    """A pod whose logs are requested.

    Attributes:
        label: its name in the output.
        namespace: the pod's namespace.
        pod: the pod's name.
    """

    label: str
    namespace: str
    pod: str


def log_targets(stack: Stack, target: str | None) -> list[LogTarget]:
    """Return the pods of ``target``: a service, a task pod, or all services if None.

    Raises:
        DevstackError: ``TARGET_UNKNOWN``, with the known services.
    """
    kube = stack.kube()
    pods = [
        (pod["metadata"]["namespace"], pod["metadata"]["name"], service_of(stack, pod))
        for pod in kube.list_objects("v1", "Pod")
    ]
    services = {service.name for service in stack.services}
    found = [
        LogTarget(f"{namespace}/{name}", namespace, name)
        for namespace, name, service in pods
        if _matches(target, namespace, name, service, services)
    ]
    if not found:
        raise DevstackError(
            f"cannot show the logs of {target!r}"
            if target is not None
            else "there are no logs to show",
            cause="no service, task pod or NAMESPACE/POD of this name",
            remedy=f"services: {', '.join(sorted(services))}; pods: devstack kubectl get pods",
            code="TARGET_UNKNOWN",
            exit_status=ExitStatus.USAGE,
        )
    return found


def service_of(stack: Stack, pod: Object) -> str:
    """Return the name of the service that a pod belongs to; empty if it has no label of one.

    Pods of all installations of Airflow have the same label.
    """
    metadata = pod["metadata"]
    label = str(metadata.get("labels", {}).get(SERVICE_LABEL, ""))
    if label != AirflowService.name:
        return label
    installed = (each for each in stack.services if isinstance(each, AirflowService))
    names = {each.installation.namespace: each.name for each in installed}
    return names.get(metadata["namespace"], label)


def _matches(
    target: str | None, namespace: str, name: str, service: str, services: set[str]
) -> bool:
    if target is None:
        return service in services
    # Without this, an empty target would match every pod that belongs to no service.
    return bool(target) and target in (service, name, f"{namespace}/{name}")


@dataclass(frozen=True)
class PodLogs:
    """The logs of a pod.

    Attributes:
        pod: its label.
        text: the lines of all its containers.
        error: why they are missing or incomplete; empty if they are not.
    """

    pod: str
    text: str
    error: str = ""


def read_logs(stack: Stack, target: LogTarget, tail: int, previous: bool) -> PodLogs:
    """Return the last ``tail`` lines of a pod, of its previous containers if ``previous``."""
    argv = log_arguments(stack, target, tail, previous)
    done = stack.runner.run(argv, timeout=stack.spec.timeout, check=False)
    return PodLogs(target.label, done.stdout, "" if done.ok else done.stderr.strip())


def log_arguments(stack: Stack, target: LogTarget, tail: int, previous: bool) -> list[str]:
    """Return the kubectl command that prints the last ``tail`` lines of a pod's logs."""
    kubectl = stack.kubectl()
    argv = [str(kubectl), f"--kubeconfig={stack.dir.admin_kubeconfig}"]
    argv += [f"--cache-dir={stack.dir.kubectl_cache}", "logs", target.pod]
    argv += ["--namespace", target.namespace, "--all-containers", f"--tail={tail}"]
    return [*argv, "--previous"] if previous else argv
