"""The path of each kind of object in the API: its plural, and whether it is namespaced."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from devstack.kube.api_errors import NotFoundError

CORE = "v1"
APPS = "apps/v1"
BATCH = "batch/v1"
RBAC = "rbac.authorization.k8s.io/v1"
ADMISSION = "admissionregistration.k8s.io/v1"
ADMISSION_BETA = "admissionregistration.k8s.io/v1beta1"
"""Mutating admission policies of Kubernetes 1.34 and 1.35."""
EXTENSIONS = "apiextensions.k8s.io/v1"
REGISTRATION = "apiregistration.k8s.io/v1"
CERTIFICATES = "certificates.k8s.io/v1"
JOBSET = "jobset.x-k8s.io/v1alpha2"
ARGO = "argoproj.io/v1alpha1"
POD_GROUPS = ("scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1alpha2")
"""The APIs of Kubernetes' own PodGroups, the preferred one first: from 1.37 on, and of 1.36."""
SCHEDULING = "scheduling.k8s.io/v1"
NETWORKING = "networking.k8s.io/v1"
GATEWAY = "gateway.networking.k8s.io/v1"
"""The Gateway API, which a cluster has if its CRDs are installed."""
COSCHEDULING = "scheduling.x-k8s.io/v1alpha1"
"""The API of the coscheduling plug-in of kube-scheduler."""


@dataclass(frozen=True)
class Resource:
    """One kind as the API serves it.

    Attributes:
        api_version: group and version, such as ``apps/v1``.
        plural: the name in the path, such as ``deployments``.
        namespaced: False for cluster-scoped kinds.
    """

    api_version: str
    plural: str
    namespaced: bool = True

    def path(
        self, name: str | None = None, namespace: str | None = None, subresource: str = ""
    ) -> str:
        """Return the path of one object, or of the list if ``name`` is None.

        Raises:
            NotFoundError: no object can have this name. Without a name the path would be that
                of the list, and a DELETE would remove all objects; ``.`` and ``..`` are no
                segments of a path (Kubernetes' validation of path segments).
        """
        root = "/api/v1" if self.api_version == CORE else f"/apis/{self.api_version}"
        parts = [root]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{quote(namespace, safe='')}")
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(self._require_name(name), safe=""))
        if subresource:
            parts.append(quote(subresource, safe=""))
        return "/".join(parts)

    def _require_name(self, name: str) -> str:
        if name in ("", ".", ".."):
            raise NotFoundError(
                f"{self.plural}/{name}", 404, "NotFound", f"no object has the name {name!r}"
            )
        return name


def _known(
    api_version: str, plurals: dict[str, str], *, namespaced: bool = True
) -> dict[tuple[str, str], Resource]:
    return {
        (api_version, kind): Resource(api_version, plural, namespaced)
        for kind, plural in plurals.items()
    }


_NAMESPACED = {
    CORE: {
        "ConfigMap": "configmaps",
        "Event": "events",
        "LimitRange": "limitranges",
        "PersistentVolumeClaim": "persistentvolumeclaims",
        "Pod": "pods",
        "ResourceQuota": "resourcequotas",
        "Secret": "secrets",
        "Service": "services",
        "ServiceAccount": "serviceaccounts",
    },
    APPS: {
        "DaemonSet": "daemonsets",
        "Deployment": "deployments",
        "ReplicaSet": "replicasets",
        "StatefulSet": "statefulsets",
    },
    BATCH: {"Job": "jobs"},
    RBAC: {"Role": "roles", "RoleBinding": "rolebindings"},
    JOBSET: {"JobSet": "jobsets"},
    ARGO: {
        "CronWorkflow": "cronworkflows",
        "EventBus": "eventbus",
        "EventSource": "eventsources",
        "Sensor": "sensors",
        "Workflow": "workflows",
        "WorkflowTemplate": "workflowtemplates",
    },
    **{version: {"PodGroup": "podgroups"} for version in POD_GROUPS},
    COSCHEDULING: {"PodGroup": "podgroups"},
    NETWORKING: {"Ingress": "ingresses"},
    GATEWAY: {"Gateway": "gateways", "HTTPRoute": "httproutes"},
}
_POLICIES = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
}
_CLUSTER_SCOPED = {
    CORE: {
        "Namespace": "namespaces",
        "Node": "nodes",
        "PersistentVolume": "persistentvolumes",
    },
    SCHEDULING: {"PriorityClass": "priorityclasses"},
    RBAC: {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"},
    ADMISSION: {
        **_POLICIES,
        "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
        "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    },
    ADMISSION_BETA: _POLICIES,
    EXTENSIONS: {"CustomResourceDefinition": "customresourcedefinitions"},
    REGISTRATION: {"APIService": "apiservices"},
    CERTIFICATES: {"CertificateSigningRequest": "certificatesigningrequests"},
    NETWORKING: {"IngressClass": "ingressclasses"},
}

KNOWN: dict[tuple[str, str], Resource] = {}
"""Kinds that need no discovery, which would cost a request at each start."""
for _version, _plurals in _NAMESPACED.items():
    KNOWN |= _known(_version, _plurals)
for _version, _plurals in _CLUSTER_SCOPED.items():
    KNOWN |= _known(_version, _plurals, namespaced=False)
