"""Finding out why something does not run: the causes, from the outermost to the innermost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from devstack.kube.client import KubeClient, Object
from devstack.kube.gangs import condition_of, size_of
from devstack.kube.pods import observe_pod
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import POD_GROUPS
from devstack.waits import Failed, Ready, Waiting
from devstack.why.answer import Answer
from devstack.why.room import MOST, RoomView, look_for_room
from devstack.why.subject import Subject

Cause = Callable[[KubeClient, Subject], Answer | None]


def explain(client: KubeClient, subject: Subject) -> Answer:
    """Return why ``subject`` does not run, or that it does."""
    for cause in _CAUSES:
        answer = cause(client, subject)
        if answer is not None:
            return answer
    return Answer(str(subject), "running", f"{_count(subject.pods)} at work")


def _over(client: KubeClient, subject: Subject) -> Answer | None:
    if subject.kind == "Pod":
        phase = subject.item.get("status", {}).get("phase")
        return Answer(str(subject), "ended", "it succeeded") if phase == "Succeeded" else None
    for kind, state in (("Failed", "failed"), ("Completed", "ended"), ("Complete", "ended")):
        found = condition_of(subject.item, kind)
        if found.get("status") == "True":
            remedy = f"devstack logs {subject.name}" if state == "failed" else ""
            return Answer(str(subject), state, found.get("message") or kind.lower(), remedy)
    return None


def _suspended(client: KubeClient, subject: Subject) -> Answer | None:
    if not subject.item["spec"].get("suspend"):
        return None
    patch = f"""devstack kubectl --admin patch {subject.kind.lower()} {subject.name} """
    return Answer(
        str(subject),
        "waiting",
        "it is suspended, so it has no pods",
        patch + """--type merge -p '{"spec": {"suspend": false}}'""",
    )


def _refused(client: KubeClient, subject: Subject) -> Answer | None:
    """Say why pods cannot be created: a quota, most often."""
    if subject.kind == "Pod" or len(_living(subject)) >= _wanted(subject):
        return None
    events = client.list_objects(
        "v1", "Event", subject.namespace, fields="reason=FailedCreate,involvedObject.kind=Job"
    )
    ours = [e for e in events if e["involvedObject"]["name"].startswith(subject.name)]
    if not ours:
        return None
    message = ours[-1]["message"]
    there = f"{len(_living(subject))} of its {_wanted(subject)} pods exist"
    quota = "quota" in message
    remedy = "ask for less, or raise the quota" if quota else "change what forbids it"
    return Answer(str(subject), "stuck", f"{there}; the others are refused: {message}", remedy)


def _not_made(client: KubeClient, subject: Subject) -> Answer | None:
    if subject.pods:
        return None
    if subject.kind == "JobSet":
        seen = observe_deployment(client, "jobset-system", "jobset-controller")
        if not isinstance(seen, Ready):
            because = f"the JobSet controller, which makes its pods, is not ready: {seen.reason}"
            return Answer(str(subject), "stuck", because, "devstack up heals it")
    return Answer(str(subject), "waiting", "its pods are not made yet", "ask again in a moment")


def _no_group(client: KubeClient, subject: Subject) -> Answer | None:
    """Say that the scheduler was never told of the gang."""
    name = _group(subject)
    if not name or client.find(POD_GROUPS, "PodGroup", name, subject.namespace):
        return None
    because = f"its pods wait for PodGroup {name}, which nobody has made"
    seen = observe_deployment(client, "gang-system", "gang-controller")
    if isinstance(seen, Ready):
        return Answer(str(subject), "waiting", f"{because} yet", "ask again in a moment")
    return Answer(
        str(subject),
        "stuck",
        f"{because}, for the gang controller is not ready: {seen.reason}",
        "devstack up heals it",
    )


def _incomplete(client: KubeClient, subject: Subject) -> Answer | None:
    """Say that a gang waits for pods that do not exist."""
    jobset = subject.jobset
    if not _group(subject) or jobset is None or subject.kind != "JobSet":
        return None
    there, wanted = len(_living(subject)), size_of(jobset)
    if there >= wanted or not _unscheduled(subject):
        return None
    return Answer(
        str(subject),
        "waiting",
        f"{there} of its {wanted} pods exist, and as a gang none of them starts before all do",
        "devstack kubectl get jobs,pods shows which is missing; devstack why job/NAME says why",
    )


def _no_room(client: KubeClient, subject: Subject) -> Answer | None:
    unscheduled = _whole_gang(client, subject) if _group(subject) else _unscheduled(subject)
    if not unscheduled or not _unscheduled(subject):
        return None
    view = look_for_room(client, unscheduled)
    as_gang = "as a gang its pods start together or not at all; " if _group(subject) else ""
    if view.enough:
        said = _scheduler_says(unscheduled)
        because = f"{as_gang}it needs {view.needs}, and there is room for all: {view.sentence()}"
        return Answer(
            str(subject),
            "waiting",
            because + (f"; the scheduler says: {said}" if said else ""),
            "ask again in a moment; if it stays so, a volume or affinity is the matter",
            view.nodes,
        )
    return _short_of_room(subject, view, as_gang)


def _short_of_room(subject: Subject, view: RoomView, as_gang: str) -> Answer:
    needs = f"{as_gang}it needs {view.needs}, and there is room for {view.fit}"
    if not view.ever_enough:
        return Answer(
            str(subject),
            "stuck",
            f"{needs}: {view.sentence()}. Even with no other job in the cluster there would be"
            f" room for {view.fit_alone}",
            "ask for less, add nodes, or change the taints and labels that keep it off",
            view.nodes,
            view.holders,
        )
    return Answer(
        str(subject),
        "waiting",
        f"{needs}: {view.sentence()}. The room is held by {_some(view.holders)}",
        "wait until one of these ends, end one, or ask for less",
        view.nodes,
        view.holders,
    )


def _not_started(client: KubeClient, subject: Subject) -> Answer | None:
    """Say what keeps a pod from starting on its node: its image, most often."""
    seen = [observe_pod(client, pod) for pod in _living(subject)]
    for found in seen:
        if isinstance(found, Failed):
            return Answer(str(subject), "stuck", found.reason, found.remedy)
    for found in seen:
        if isinstance(found, Waiting):
            return Answer(str(subject), "waiting", found.reason)
    return None


def _failed_pod(client: KubeClient, subject: Subject) -> Answer | None:
    if subject.kind != "Pod" or subject.item.get("status", {}).get("phase") != "Failed":
        return None
    seen = observe_pod(client, subject.item)
    reason = seen.reason if isinstance(seen, (Failed, Waiting)) else "no reason is given"
    return Answer(str(subject), "failed", reason, f"devstack logs {subject.name}")


_CAUSES: Sequence[Cause] = (
    _over,
    _failed_pod,
    _suspended,
    _refused,
    _not_made,
    _no_group,
    _incomplete,
    _no_room,
    _not_started,
)


def _living(subject: Subject) -> list[Object]:
    over = ("Succeeded", "Failed")
    return [pod for pod in subject.pods if pod.get("status", {}).get("phase") not in over]


def _unscheduled(subject: Subject) -> list[Object]:
    return [pod for pod in _living(subject) if not pod["spec"].get("nodeName")]


def _whole_gang(client: KubeClient, subject: Subject) -> Sequence[Object]:
    """Return the pods that must be placed together, of which the subject may be one."""
    group = _group(subject)
    pods = client.list_objects("v1", "Pod", subject.namespace, labels="devstack.dev/gang=true")
    return [pod for pod in pods if _group_of(pod) == group and not pod["spec"].get("nodeName")]


def _group(subject: Subject) -> str:
    return next((_group_of(pod) for pod in _living(subject)), "")


def _group_of(pod: Object) -> str:
    return str((pod["spec"].get("schedulingGroup") or {}).get("podGroupName", ""))


def _wanted(subject: Subject) -> int:
    if subject.kind == "JobSet":
        return size_of(subject.item)
    spec = subject.item["spec"]
    return int(min(spec.get("parallelism", 1), spec.get("completions", spec.get("parallelism", 1))))


def _scheduler_says(pods: Sequence[Object]) -> str:
    messages = [condition_of(pod, "PodScheduled").get("message", "") for pod in pods]
    return next((message for message in messages if message), "")


def _some(holders: Sequence[str]) -> str:
    rest = len(holders) - MOST
    return ", ".join(holders[:MOST]) + (f" and {rest} more" if rest > 0 else "")


def _count(pods: Sequence[Object]) -> str:
    return "its pod is" if len(pods) == 1 else f"its {len(pods)} pods are"
