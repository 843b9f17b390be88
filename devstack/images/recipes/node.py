"""The image of a kind node, which contains the images that the stack runs.

It is built in three steps, each kept in Docker: Debian with the node's programs; the
images of Kubernetes; the stack's own images, which change most often. If one of the last
is still being compiled, the others are imported before it.

Each image inside has one layer: to unpack a second one, containerd would mount an overlay
upon Docker's overlay, which the kernel rejects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.docker.client import KEY_LABEL
from devstack.images import versions
from devstack.images.archive import Layer, LayeredImage, write_images
from devstack.images.artifact_cache import digest
from devstack.images.build_context import CONTAINERS, BuildContext, Recipe, labels
from devstack.images.catalogue import IMAGES
from devstack.images.debian import RootFileSystem
from devstack.images.kubernetes_versions import DEFAULT, KubernetesVersion, node_image
from devstack.images.programs import PROGRAMS, VERSIONED, versioned
from devstack.images.recipes.program import ProgramImage
from devstack.progress import step

NODE = CONTAINERS / "node"
REGISTRY = "registry.k8s.io"
PROVISIONER_IMAGE = f"devstack/provisioner:{versions.PROVISIONER}"
ROOT = "0:0"

FILES = RootFileSystem(
    "node",
    (
        "ca-certificates",
        "conntrack",
        "containernetworking-plugins",
        "dbus",
        "ethtool",
        "iproute2",
        "iptables",
        "kmod",
        "mount",
        "procps",
        "runc",
        "socat",
        "systemd",
        "systemd-sysv",
        "util-linux",
    ),
)
BINARIES = {
    "kubeadm": "usr/bin",
    "kubectl": "usr/bin",
    "kubelet": "usr/bin",
    "containerd": "usr/local/bin",
    "containerd-shim-runc-v2": "usr/local/bin",
    # kind calls it to collect logs and to load images.
    "crictl": "usr/local/bin",
    "ctr": "usr/local/bin",
    "runc-wrapper": "usr/local/bin",
}
SERVICES = ("containerd.service", "kubelet.service", "pod-network.path")
# Useless or harmful in a container.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "getty-static.service",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-update-utmp.service",
)
CONFIG = {
    "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
    "Env": ["container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"],
    "StopSignal": "SIGRTMIN+3",
}
SETTINGS = ('ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', "CMD []")

CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class PartialImage:
    """A node image that lacks some of the stack's own images.

    Attributes:
        reference: the image.
        imported: the stack's images inside.
    """

    reference: str
    imported: Sequence[Recipe] = ()


class NodeImage:
    """A kind node; not a :class:`Recipe`, because building it requires running containers.

    Args:
        version: the version of Kubernetes.
        preloaded: recipes of the stack's own images.
    """

    def __init__(self, version: KubernetesVersion, preloaded: Sequence[Recipe]) -> None:
        self._version = version
        self._preloaded = preloaded
        self._name = node_image(version.minor)
        self._pause = f"{REGISTRY}/pause:{version.pause}"

    @property
    def base_key(self) -> str:
        """The digest of Debian and of the node's programs and files."""
        programs = [PROGRAMS[self._program(name)].key for name in BINARIES]
        return digest(FILES.key, NODE, Path(__file__), self._pause, *programs)

    @property
    def kubernetes_key(self) -> str:
        """The digest of the base and of the images of Kubernetes."""
        recipes = (recipe.key for recipe in self.static_images)
        return digest(self.base_key, *recipes, PROGRAMS[self._program("kube-proxy")].key)

    @property
    def key(self) -> str:
        """The digest of everything inside."""
        return digest(self.kubernetes_key, *(recipe.key for recipe in self._preloaded))

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs of the node and of its images."""
        binaries = [self._program(name) for name in (*BINARIES, "kube-proxy")]
        return (*binaries, *(name for image in self.static_images for name in image.programs))

    @property
    def static_images(self) -> tuple[ProgramImage, ...]:
        """The images of `kubeadm config images list`, without kube-proxy, and the provisioner."""
        version = self._version
        tags = {
            **{name: f"{name}:{version.built}" for name in CONTROL_PLANE},
            "etcd": f"etcd:{version.etcd}",
            "coredns": f"coredns/coredns:{version.coredns}",
        }
        images = (
            ProgramImage(f"{REGISTRY}/{tag}", self._program(name), ROOT, name)
            for name, tag in tags.items()
        )
        return (
            *images,
            ProgramImage(self._pause, "pause"),
            ProgramImage(PROVISIONER_IMAGE, "provisioner", ROOT),
        )

    def _program(self, name: str) -> str:
        return versioned(name, self._version.minor) if name in VERSIONED else name

    def install_debian(self, context: BuildContext) -> None:
        """Install the node's Debian packages, unless they are in the cache."""
        FILES.build(context.runner, context.progress, context.cache)

    def build_compiled(self, context: BuildContext) -> PartialImage:
        """Build everything that needs no wait for Go; :meth:`build` adds the rest."""
        kubernetes = self.build_kubernetes(context)
        compiled = [recipe for recipe in self._preloaded if context.is_compiled(recipe)]
        if len(compiled) == len(self._preloaded):
            return PartialImage(kubernetes)
        target = f"devstack/node-partial-{context.cache.owner}:{self.key}"
        context.remove_later(target)
        self._import(context, kubernetes, target, compiled)
        return PartialImage(target, compiled)

    def build(self, context: BuildContext, partial: PartialImage | None = None) -> None:
        """Leave the image in Docker, starting from the last step that is up to date.

        Args:
            context: the tools.
            partial: the result of :meth:`build_compiled` in this build, if it was called.
        """
        partial = partial or PartialImage(self.build_kubernetes(context))
        missing = [recipe for recipe in self._preloaded if recipe not in partial.imported]
        self._import(context, partial.reference, IMAGES[self._name].reference, missing)
        self._remove_older(context)

    def _import(
        self, context: BuildContext, base: str, target: str, recipes: Sequence[Recipe]
    ) -> None:
        with step(context.progress, "Write the images for the node"):
            archives = [context.archive(recipe) for recipe in recipes]
        with step(context.progress, "Import the stack's images into the node image"):
            _import(context, base, target, self.key, archives)

    def build_kubernetes(self, context: BuildContext) -> str:
        """Return the reference of the image of the second step, built now if it is missing."""
        base, kubernetes = self.references
        found = context.docker.inspect_images([base, kubernetes])
        if kubernetes in found:
            return kubernetes
        if base not in found:
            self._build_base(context, base)
        with (
            step(context.progress, "Import Kubernetes' images into the node image"),
            context.cache.scratch("kubernetes") as scratch,
        ):
            archive = scratch / "images.tar"
            write_images(archive, self._kubernetes_images(context, scratch, base))
            _import(context, base, kubernetes, self.kubernetes_key, [archive])
        return kubernetes

    @property
    def references(self) -> tuple[str, str]:
        """The images of the first two steps: the base, and the one with Kubernetes' images."""
        return (
            f"devstack/node-base:{self.base_key}",
            f"devstack/node-kubernetes:{self.kubernetes_key}",
        )

    def _build_base(self, context: BuildContext, reference: str) -> None:
        files = FILES.build(context.runner, context.progress, context.cache)
        programs = {name: context.program(self._program(name)) for name in BINARIES}
        with (
            step(context.progress, "Assemble the node image"),
            context.cache.scratch("node") as scratch,
        ):
            layer = self._node_layer(programs, scratch / "node.tar")
            config = {**CONFIG, "Labels": labels(self.base_key)}
            context.load(LayeredImage(reference, (files, layer), config), scratch)

    def _remove_older(self, context: BuildContext) -> None:
        """Remove the first steps of earlier builds of this cache; other caches keep theirs."""
        suffix = "" if self._version.minor == DEFAULT else f"-{self._version.minor}"
        record = context.cache.root / f"node-images{suffix}"
        current = self.references
        recorded = record.read_text().split() if record.exists() else []
        for reference in recorded:
            if reference not in current:
                context.docker.remove_image(reference)
        record.write_text("\n".join(current))
        context.docker.prune_unnamed()

    def _node_layer(self, programs: Mapping[str, Path], path: Path) -> Path:
        with Layer(path) as layer:
            for name, folder in BINARIES.items():
                layer.file(f"{folder}/{name}", programs[name], 0o755)
            for file in sorted(each for each in (NODE / "rootfs").rglob("*") if each.is_file()):
                mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
                name = file.relative_to(NODE / "rootfs").as_posix()
                layer.file(name, self._filled(file.read_text()), mode)
            layer.file("kind/version", self._version.built.encode())
            units = "etc/systemd/system"
            for service in SERVICES:
                layer.link(f"{units}/multi-user.target.wants/{service}", f"/{units}/{service}")
            for unit in MASKED:
                layer.link(f"{units}/{unit}", "/dev/null")
            layer.link(f"{units}/default.target", "/lib/systemd/system/multi-user.target")
            # kind reads the units' logs from here; without it the journal would be in memory.
            layer.folder("var/log/journal")
        return path

    def _filled(self, text: str) -> bytes:
        filled = text.replace("@PAUSE@", self._pause)
        return filled.replace("@PROVISIONER@", PROVISIONER_IMAGE).encode()

    def _kubernetes_images(
        self, context: BuildContext, scratch: Path, base: str
    ) -> Sequence[LayeredImage]:
        images = [recipe.image(context, scratch) for recipe in self.static_images]
        return [*images, self._kube_proxy(context, scratch, base)]

    def _kube_proxy(self, context: BuildContext, scratch: Path, base: str) -> LayeredImage:
        files = scratch / "iptables.tar"
        context.docker.extract(base, (NODE / "build" / "kube-proxy-files").read_text(), files)
        program = context.program(self._program("kube-proxy"))
        with Layer(scratch / "kube-proxy.tar") as layer:
            layer.archive(files)
            layer.file("usr/local/bin/kube-proxy", program, 0o755)
        config = {"Entrypoint": ["/usr/local/bin/kube-proxy"], "Env": CONFIG["Env"]}
        reference = f"{REGISTRY}/kube-proxy:{self._version.built}"
        return LayeredImage(reference, (layer.path,), config)


def _import(
    context: BuildContext, base: str, target: str, key: str, archives: Sequence[Path]
) -> None:
    with context.cache.scratch("import") as files:
        for archive in archives:
            (files / archive.name).hardlink_to(archive)
        script = (NODE / "build" / "import-images").read_text()
        settings = [*SETTINGS, f"LABEL {KEY_LABEL}={key}"]
        context.docker.change(base, script, files, target, settings)
