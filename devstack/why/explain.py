"""Find out why something does not run: the causes, from the outermost to the innermost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from devstack.kube.capacity import fit
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import condition_of, has_ended
from devstack.kube.gangs import (
    CONDITION,
    INSUFFICIENT_RESOURCES,
    NO_SCHEDULING_DECISION,
    TOO_LARGE,
    find_pod_group,
    pod_group_name,
    size_of,
)
from devstack.kube.offers import measure_offers
from devstack.kube.pods import observe_pod
from devstack.kube.quotas import may_fit_quota
from devstack.kube.readiness import observe_deployment
from devstack.kube.volumes import missing_claim
from devstack.waits import Failed, Ready, Waiting
from devstack.why.answer import Answer
from devstack.why.awaited import SOON, find_awaited
from devstack.why.capacity import (
    SHOWN,
    CapacityReport,
    list_holders,
    report_capacity,
    suggest_remedy,
)
from devstack.why.subject import Subject

Cause = Callable[[KubeClient, Subject], Answer | None]

AS_A_GANG = "as a gang its pods start together or not at all; "
AFTER_TASKS = "All of them fit once the tasks that run now have ended"


def explain(client: KubeClient, subject: Subject) -> Answer:
    """Return why ``subject`` does not run, or that it does."""
    for cause in _CAUSES:
        answer = cause(client, subject)
        if answer is not None:
            return answer
    return Answer(str(subject), "running", f"{_count(subject.pods)} running")


def _ended(client: KubeClient, subject: Subject) -> Answer | None:
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
    patch = f"devstack kubectl --admin patch {subject.kind.lower()} {subject.name} "
    return Answer(
        str(subject),
        "waiting",
        "it is suspended, so it has no pods",
        patch + """--type merge -p '{"spec": {"suspend": false}}'""",
    )


def _pods_forbidden(client: KubeClient, subject: Subject) -> Answer | None:
    """Explain why pods cannot be created: a quota, most often."""
    if subject.kind == "Pod" or len(_active(subject)) >= _wanted(subject):
        return None
    events = client.list_objects(
        "v1", "Event", subject.namespace, fields="reason=FailedCreate,involvedObject.kind=Job"
    )
    ours = [e for e in events if e["involvedObject"]["name"].startswith(subject.name)]
    if not ours:
        return None
    message = ours[-1]["message"]
    existing = f"{len(_active(subject))} of its {_wanted(subject)} pods exist"
    if may_fit_quota(message):
        because = f"{existing}; the others exceed the quota as long as others run: {message}"
        return Answer(str(subject), "waiting", because, "wait until other pods end")
    quota = "quota" in message
    remedy = "request less, or raise the quota" if quota else "change the policy that forbids it"
    because = f"{existing}; the others are forbidden: {message}"
    return Answer(str(subject), "stuck", because, remedy)


def _not_created(client: KubeClient, subject: Subject) -> Answer | None:
    if subject.pods:
        return None
    if subject.kind == "JobSet":
        observation = observe_deployment(client, "jobset-system", "jobset-controller")
        if not isinstance(observation, Ready):
            because = (
                f"the JobSet controller, which creates its pods, is not ready: {observation.reason}"
            )
            return Answer(str(subject), "stuck", because, "devstack up")
    return Answer(str(subject), "waiting", "its pods are not created yet", SOON)


def _claim_missing(client: KubeClient, subject: Subject) -> Answer | None:
    """Explain that a pod names a volume claim that nothing creates."""
    found = (missing_claim(client, pod) for pod in _unscheduled(subject))
    failed = next((each for each in found if each), None)
    return Answer(str(subject), "stuck", failed.reason, failed.remedy) if failed else None


def _no_pod_group(client: KubeClient, subject: Subject) -> Answer | None:
    """Explain that the scheduler waits for a PodGroup that does not exist."""
    pod = _grouped_pod(subject)
    if pod is None or find_pod_group(client, pod):
        return None
    because = f"its pods wait for PodGroup {pod_group_name(pod)}, which does not exist"
    observation = observe_deployment(client, "gang-system", "gang-controller")
    if isinstance(observation, Ready):
        return Answer(str(subject), "waiting", f"{because} yet", SOON)
    because += f", because the gang controller is not ready: {observation.reason}"
    return Answer(str(subject), "stuck", because, "devstack up")


def _pods_missing(client: KubeClient, subject: Subject) -> Answer | None:
    """Explain that a gang waits for pods that do not exist."""
    jobset = subject.jobset
    if not _grouped_pod(subject) or jobset is None or subject.kind != "JobSet":
        return None
    existing, size = len(_active(subject)), size_of(jobset)
    if existing >= size or not _unscheduled(subject):
        return None
    return Answer(
        str(subject),
        "waiting",
        f"{existing} of its {size} pods exist, and as a gang none of them starts before all do",
        "devstack kubectl get jobs,pods shows which one is missing; then devstack why job/NAME",
    )


def _gang_waits(client: KubeClient, subject: Subject) -> Answer | None:
    """Repeat what the gang controller reports; it is the authority on gangs."""
    if not _grouped_pod(subject) or not _unscheduled(subject):
        return None
    condition = condition_of(subject.jobset or {}, CONDITION)
    reason, because = condition.get("reason"), f"{AS_A_GANG}it {condition.get('message')}"
    if reason == TOO_LARGE:
        return _too_large(client, subject, because)
    if reason == NO_SCHEDULING_DECISION:
        because = f"{AS_A_GANG}{condition.get('message')}"
        return Answer(str(subject), "waiting", because, "devstack doctor")
    if reason != INSUFFICIENT_RESOURCES:
        return None
    holders = list_holders(client, _unscheduled_gang(client, subject))
    because += f". The resources are held by {_first(holders)}" if holders else ""
    remedy = "wait until one of these ends, delete one, or request less"
    return Answer(str(subject), "waiting", because, remedy, holders=holders)


def _too_large(client: KubeClient, subject: Subject, because: str) -> Answer:
    """Explain that a gang does not fit on the nodes that exist, even without other Jobs."""
    pods, offers = _unscheduled_gang(client, subject), measure_offers(client)
    if offers is None:
        return Answer(str(subject), "stuck", because, "request less, or add nodes")
    because += f". That is what the nodes offer; {offers.shape.real}" if offers.shape.real else ""
    if fit(pods, offers.nodes) == len(pods):
        awaited = find_awaited(pods, offers)
        sentence, remedy = (awaited.sentence, awaited.remedy) if awaited else (AFTER_TASKS, SOON)
        return Answer(str(subject), "waiting", f"{because}. {sentence}", remedy)
    return Answer(str(subject), "stuck", because, suggest_remedy(pods, offers))


def _no_capacity(client: KubeClient, subject: Subject) -> Answer | None:
    grouped = _grouped_pod(subject)
    pods = _unscheduled_gang(client, subject) if grouped else _unscheduled(subject)
    if not pods or not _unscheduled(subject):
        return None
    report = report_capacity(client, pods)
    needs = f"{AS_A_GANG if grouped else ''}it needs {report.needs}"
    if report.all_fit:
        message = _scheduler_message(pods)
        because = f"{needs}, and all of them fit: {report.sentence()}"
        return Answer(
            str(subject),
            "waiting",
            because + (f"; the scheduler reports: {message}" if message else ""),
            f"{SOON}; if it persists, check volumes and affinity",
            report.nodes,
        )
    return _insufficient(subject, report, needs)


def _insufficient(subject: Subject, report: CapacityReport, needs: str) -> Answer:
    because = f"{needs}, of which {report.fit} fit: {report.sentence()}"
    if awaited := report.awaited:
        because += f". {awaited.sentence}"
        return Answer(str(subject), "waiting", because, awaited.remedy, report.nodes)
    if not report.all_fit_alone:
        return Answer(
            str(subject),
            "stuck",
            f"{because}. Even without other jobs in the cluster only {report.fit_alone} would fit",
            report.remedy,
            report.nodes,
            report.holders,
        )
    if not report.holders:
        return Answer(str(subject), "waiting", because, "devstack node list", report.nodes)
    return Answer(
        str(subject),
        "waiting",
        f"{because}. The resources are held by {_first(report.holders)}",
        "wait until one of these ends, delete one, or request less",
        report.nodes,
        report.holders,
    )


def _not_started(client: KubeClient, subject: Subject) -> Answer | None:
    """Explain what keeps a pod from starting on its node: its image, most often."""
    observations = [observe_pod(client, pod) for pod in _active(subject)]
    for found in observations:
        if isinstance(found, Failed):
            return Answer(str(subject), "stuck", found.reason, found.remedy)
    for found in observations:
        if isinstance(found, Waiting):
            return Answer(str(subject), "waiting", found.reason)
    return None


def _failed_pod(client: KubeClient, subject: Subject) -> Answer | None:
    if subject.kind != "Pod" or subject.item.get("status", {}).get("phase") != "Failed":
        return None
    observation = observe_pod(client, subject.item)
    reason = (
        observation.reason if isinstance(observation, (Failed, Waiting)) else "no reason is given"
    )
    return Answer(str(subject), "failed", reason, f"devstack logs {subject.name}")


_CAUSES: Sequence[Cause] = (
    _ended,
    _failed_pod,
    _suspended,
    _pods_forbidden,
    _not_created,
    _claim_missing,
    _no_pod_group,
    _pods_missing,
    _gang_waits,
    _no_capacity,
    _not_started,
)


def _active(subject: Subject) -> list[Object]:
    return [pod for pod in subject.pods if not has_ended(pod)]


def _unscheduled(subject: Subject) -> list[Object]:
    return [pod for pod in _active(subject) if not pod["spec"].get("nodeName")]


def _unscheduled_gang(client: KubeClient, subject: Subject) -> Sequence[Object]:
    """Return the pods that must be placed together, of which the subject may be one."""
    pod = _grouped_pod(subject)
    group = pod_group_name(pod) if pod else ""
    pods = client.list_objects("v1", "Pod", subject.namespace, labels="devstack.dev/gang=true")
    return [
        each for each in pods if pod_group_name(each) == group and not each["spec"].get("nodeName")
    ]


def _grouped_pod(subject: Subject) -> Object | None:
    """Return a pod of the subject that names a PodGroup."""
    return next((pod for pod in _active(subject) if pod_group_name(pod)), None)


def _wanted(subject: Subject) -> int:
    if subject.kind == "JobSet":
        return size_of(subject.item)
    spec = subject.item["spec"]
    return int(min(spec.get("parallelism", 1), spec.get("completions", spec.get("parallelism", 1))))


def _scheduler_message(pods: Sequence[Object]) -> str:
    messages = [condition_of(pod, "PodScheduled").get("message", "") for pod in pods]
    return next((message for message in messages if message), "")


def _first(holders: Sequence[str]) -> str:
    rest = len(holders) - SHOWN
    return ", ".join(holders[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _count(pods: Sequence[Object]) -> str:
    return "its pod is" if len(pods) == 1 else f"its {len(pods)} pods are"
