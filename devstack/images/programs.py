"""The Go programs of the images, and the flags they are compiled with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from devstack.images import versions
from devstack.images.artifact_cache import digest
from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED
from devstack.images.machine import architecture, operating_system

CONTAINERS = Path(__file__).parent.parent / "containers"
"""The contents of the images, one folder per image; README.md there describes the convention."""

SHARED = "1.36"
"""The version in the module `kubernetes`, which also has the programs of all node images."""
CLIENTS = ("kind", "kubectl")
"""The programs that run on the user's machine; a bundle contains them."""

_FLAGS = (
    "-trimpath",
    "-pgo=off",
    # No debugging information: a tenth of the compile time, and a smaller image.
    "-gcflags=all=-dwarf=false",
)
_TAGS = ("no_btrfs", "no_devmapper", "no_zfs")


def build_flags(
    minor: str, own: Mapping[str, str] = MappingProxyType({}), tags: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the flags of `go build` for the programs of a module.

    Args:
        minor: the minor version of Kubernetes that the module requires.
        own: versions that only programs of this module report, by Go variable.
        tags: build tags of this module only.
    """
    variables = {**version_variables(SUPPORTED[minor].built), **own}
    settings = " ".join(f"-X {name}={value}" for name, value in variables.items())
    return (*_FLAGS, f"-tags={','.join((*_TAGS, *tags))}", f"-ldflags=-s -w {settings}")


def version_variables(kubernetes: str) -> dict[str, str]:
    """Return the versions that programs report, by Go variable.

    Args:
        kubernetes: the version of Kubernetes.
    """
    major, minor, _ = kubernetes.removeprefix("v").split(".")
    return {
        "k8s.io/component-base/version.gitVersion": kubernetes,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/component-base/version.gitTreeState": "clean",
        "k8s.io/client-go/pkg/version.gitVersion": kubernetes,
        "github.com/containerd/containerd/v2/version.Version": versions.CONTAINERD,
        "github.com/minio/minio/cmd.ReleaseTag": versions.MINIO,
        "github.com/minio/minio/cmd.Version": "{}T{}:{}:{}".format(
            *re.match(r"RELEASE\.(.+)T(\d+)-(\d+)-(\d+Z)", versions.MINIO).groups()  # type: ignore[union-attr]
        ),
    }


def versioned(program: str, minor: str) -> str:
    """Return the name in PROGRAMS of a program of Kubernetes with a minor version."""
    return program if minor == DEFAULT else f"{program}-{minor}"


@dataclass(frozen=True)
class MissingFiles:
    """Files without which a published module does not compile, and that it does not contain.

    Attributes:
        module: the path of the published module.
        folder: where the files are, below the folder of the program's module.
        target: where they belong, below the root of the published module.
        links: symbolic links of the repository, which published modules never contain; the
            paths of their targets by their own, both below the root of the module.
    """

    module: str
    folder: str
    target: str
    links: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Program:
    """A Go program.

    Attributes:
        name: its name in PROGRAMS and in the cache; unless it is of another version of
            Kubernetes than the default, it is also its file name in images.
        package: the import path of its main package.
        module: the folder whose go.mod pins its dependencies. One `go build` compiles all
            programs of a module.
        title: the name of the module in the progress display; empty for the names of the
            programs that are compiled.
        kubernetes: the minor version of Kubernetes that the module requires.
        system: the operating system that it runs on.
        variables: versions that only the programs of this module report, by Go variable.
        missing: files that are added to a published module before it is compiled.
        tags: build tags of this module only.
    """

    name: str
    package: str
    module: Path = CONTAINERS / "kubernetes"
    title: str = ""
    kubernetes: str = SHARED
    system: str = "linux"
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    missing: MissingFiles | None = None
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of everything the program is compiled from, except Go's own tests."""
        sources = [
            file
            for file in sorted(self.module.rglob("*"))
            if file.is_file() and not file.name.endswith("_test.go")
        ]
        settings = [*self.flags, *([repr(self.missing)] if self.missing else [])]
        return digest(self.name, self.package, *sources, *settings, versions.GO, architecture())

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of `go build`, the same for all programs of a module."""
        return build_flags(self.kubernetes, self.variables, self.tags)

    @property
    def output(self) -> str:
        """The file name that `go build` chooses: the last path element that is no version."""
        elements = [each for each in self.package.split("/") if not re.fullmatch(r"v\d+", each)]
        return elements[-1]


def _own(name: str, title: str) -> Program:
    """Return a program of devstack's own, in a module of its own."""
    return Program(name, f"devstack/containers/{name}", CONTAINERS / name, title)


_KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubeadm",
    "kubectl",
)
VERSIONED = (*_KUBERNETES_PROGRAMS, "etcd", "coredns")
"""The programs of which each version of Kubernetes has its own."""
_CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")


def _of_kubernetes(name: str, minor: str) -> Program:
    """Return one of VERSIONED as it is in a version of Kubernetes."""
    module = CONTAINERS / ("kubernetes" if minor == SHARED else f"kubernetes-{minor}")
    package = {
        "etcd": "go.etcd.io/etcd/server/v3",
        "coredns": f"devstack/containers/{module.name}/coredns",
    }.get(name, f"k8s.io/kubernetes/cmd/{name}")
    title = f"Kubernetes {minor}"
    if name == "coredns" and (module / name / "go.mod").exists():
        # It does not compile with that version's client library.
        module, title = module / name, f"CoreDNS of Kubernetes {minor}"
    return Program(versioned(name, minor), package, module, title, minor)


_ARGO = "github.com/argoproj/argo-workflows/v3"
_OSSPECIFIC = "workflow/executor/osspecific"
_ARGO_VERSION = {f"{_ARGO}.version": versions.ARGO, f"{_ARGO}.gitTreeState": "clean"}


def _of_argo(name: str) -> Program:
    """Return a program of Argo Workflows.

    Its server embeds the web pages of a build that needs a repository of GitHub; devstack's
    own page takes their place.
    """
    return Program(
        name,
        f"{_ARGO}/cmd/{name}",
        CONTAINERS / "argo",
        "Argo Workflows",
        variables=_ARGO_VERSION,
        missing=MissingFiles(
            _ARGO,
            "page",
            "ui/dist/app",
            {f"{_OSSPECIFIC}/signal_linux.go": f"{_OSSPECIFIC}/signal_darwin.go"},
        ),
        # Schedules have time zones, and the image has no files that describe them.
        tags=("timetzdata",),
    )


_ARGO_EVENTS = "github.com/argoproj/argo-events"


def _of_argo_events(name: str, package: str) -> Program:
    """Return a program of Argo Events, or the server of its event bus."""
    return Program(
        name,
        package,
        CONTAINERS / "argo-events",
        "Argo Events",
        variables={f"{_ARGO_EVENTS}.version": versions.ARGO_EVENTS},
        # `@trigger(options={"reset_at": ...})` names a time zone.
        tags=("timetzdata",),
    )


_MINORS = sorted(SUPPORTED, key=lambda minor: (minor != DEFAULT, minor == SHARED))
"""The default first; last the one whose programs are in a module with others, which follow."""

PROGRAMS = {
    program.name: program
    for program in (
        *(_of_kubernetes(name, minor) for minor in _MINORS for name in VERSIONED),
        *(Program(name, f"github.com/containerd/containerd/v2/cmd/{name}") for name in _CONTAINERD),
        Program("crictl", "sigs.k8s.io/cri-tools/cmd/crictl"),
        Program("pause", "devstack/containers/kubernetes/pause"),
        Program("jobset", "sigs.k8s.io/jobset"),
        Program("kind", "sigs.k8s.io/kind"),
        _own("gang", "the gang controller"),
        _own("node-agent", "the node agent"),
        _own("provisioner", "the storage provisioner"),
        _own("runc-wrapper", "the runc wrapper"),
        _own("curl", "the health check"),
        _own("registry", "the registry"),
        _own("network-policies", "the enforcement of network policies"),
        Program(
            "metrics-server",
            "sigs.k8s.io/metrics-server/cmd/metrics-server",
            CONTAINERS / "metrics-server",
            "metrics-server",
        ),
        *(_of_argo(name) for name in ("workflow-controller", "argo", "argoexec")),
        _of_argo_events("argo-events", f"{_ARGO_EVENTS}/cmd"),
        _of_argo_events("nats-server", "github.com/nats-io/nats-server/v2"),
        # It shares few packages with the others, so nothing waits for it but its own image.
        Program("minio", "github.com/minio/minio", CONTAINERS / "minio", "MinIO"),
    )
}
"""All programs by name, in the order in which they are compiled."""


def client_program(name: str) -> Program:
    """Return one of CLIENTS as it runs on this machine, which may be no Linux."""
    program, system = PROGRAMS[name], operating_system()
    if system == program.system:
        return program
    return replace(program, name=f"{name}-{system}", system=system)
