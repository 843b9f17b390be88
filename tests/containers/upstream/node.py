"""A stand-in for kind's node image, with its names and paths, and without anything of the stack.

The files of the node are those of devstack's own node image, adjusted where kind's differs.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from devstack.images.archive import Layer, LayeredImage, write_images
from devstack.images.build import NODES
from devstack.images.build_context import BuildContext
from devstack.images.debian import RootFileSystem
from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED, node_image
from devstack.images.programs import PROGRAMS, VERSIONED, Program, versioned
from devstack.images.recipes import node as own
from tests.containers.upstream.images import busybox_layer

FOLDER = Path(__file__).parent
KINDNETD = Program(
    "kindnetd", "devstack/tests/kindnetd", module=FOLDER / "kindnetd", title="the pod network"
)
PROVISIONER = Program(
    "local-path-provisioner",
    "github.com/rancher/local-path-provisioner",
    module=FOLDER / "local-path-provisioner",
    title="the provisioner of volumes",
)
BASE = "devstack-tests/node-base"
TARGET = "devstack-tests/node"
BUILDER = "devstack-tests-node"
FILES = RootFileSystem(
    "upstream-node",
    (
        "bash",
        "ca-certificates",
        "conntrack",
        "containernetworking-plugins",
        "curl",
        "dbus",
        "e2fsprogs",
        "ethtool",
        "iproute2",
        "iptables",
        "jq",
        "kmod",
        "mount",
        "nftables",
        "pigz",
        "procps",
        "runc",
        "systemd",
        "util-linux",
    ),
)
NODE = NODES[node_image(DEFAULT)]
VERSION = SUPPORTED[DEFAULT].built
BINARIES = {
    "kubeadm": "usr/bin",
    "kubectl": "usr/bin",
    "kubelet": "usr/bin",
    "containerd": "usr/local/bin",
    "containerd-shim-runc-v2": "usr/local/bin",
    "crictl": "usr/local/bin",
    "ctr": "usr/local/bin",
}

IMAGES = {
    "@KINDNETD@": "docker.io/kindest/kindnetd:v20260820-69b56db7",
    "@PROVISIONER@": "docker.io/kindest/local-path-provisioner:v20260820-69b56db7",
    "@HELPER@": "docker.io/kindest/local-path-helper:v20260131-7181c60a",
    "@PAUSE@": "registry.k8s.io/pause:3.10",
}
"""The images that kind's release adds to those of Kubernetes, by their names in files."""
UNITS = "etc/systemd/system"
CGROUPS = ("usr/local/lib/devstack/kubelet-cgroups", "kind/bin/kubelet-cgroups")
"""A program that kubelet.service runs: its path in devstack's image, and in this one."""
OWN_FILES: Mapping[str, Mapping[str, str]] = {
    "etc/containerd/config.toml": {
        "'@PAUSE@'": f"'{IMAGES['@PAUSE@']}'",
        "'/usr/lib/cni'": "'/opt/cni/bin'",
        "'/usr/local/bin/runc-wrapper'": "'/usr/local/sbin/runc'",
        # containerd's default.
        "stats_collect_period = '120s'": "stats_collect_period = '10s'",
    },
    "etc/crictl.yaml": {},
    f"{UNITS}/containerd.service": {},
    f"{UNITS}/kubelet.service": {f"/{CGROUPS[0]}": f"/{CGROUPS[1]}"},
    "usr/local/bin/entrypoint": {},
    CGROUPS[0]: {},
}
"""The files from devstack's image, with the texts in them that are replaced."""
SERVICES = ("containerd.service", "kubelet.service")
PLUGINS = ("host-local", "loopback", "portmap", "ptp")
"""The network's plug-ins, which Debian has in another folder."""


def programs() -> list[Program]:
    """Return the programs in the image."""
    return [PROGRAMS[name] for name in dict.fromkeys(NODE.programs)]


def build_node(context: BuildContext, scratch: Path, stand_ins: dict[str, Path]) -> str:
    """Build the image; return its name in Docker.

    Args:
        context: the tools.
        scratch: an empty folder.
        stand_ins: the programs KINDNETD and PROVISIONER, by name.
    """
    files = FILES.build(context.runner, context.progress, context.cache)
    layer = _layer(context, scratch / "node.tar")
    base = f"{BASE}:{VERSION}"
    context.remove_later(base)
    context.load(LayeredImage(base, (files, layer), own.CONFIG), scratch)
    archives = scratch / "archives"
    archives.mkdir()
    images = [
        *_kubernetes(context, scratch, base),
        *_added(scratch, stand_ins, context),
    ]
    write_images(archives / "images.tar", images)
    target = f"{TARGET}:{VERSION}"
    context.remove_later(target)
    _prepare(base, target, archives)
    return target


def _prepare(base: str, target: str, archives: Path) -> None:
    """Import the images in a container, and commit it without a label, as kind does."""
    script = (FOLDER / "import-images").read_text()
    mount = f"{archives}:/files:ro"
    run = ["docker", "run", "--name", BUILDER, "--privileged", "--network", "none"]
    run += ["--volume", mount, "--entrypoint", "bash", base, "-euc", script]
    commit = ["docker", "commit"]
    for setting in own.SETTINGS:
        commit += ["--change", setting]
    remove = ["docker", "rm", "--force", "--volumes", BUILDER]
    subprocess.run(remove, capture_output=True, check=False)
    try:
        for argv in (run, [*commit, BUILDER, target]):
            subprocess.run(argv, capture_output=True, check=True)
    finally:
        subprocess.run(remove, capture_output=True, check=False)


def _layer(context: BuildContext, path: Path) -> Path:
    with Layer(path) as layer:
        for name, folder in BINARIES.items():
            program = versioned(name, DEFAULT) if name in VERSIONED else name
            layer.file(f"{folder}/{name}", context.program(program), 0o755)
        # It executes Debian's runc, which has another place.
        layer.file("usr/local/sbin/runc", context.program("runc-wrapper"), 0o755)
        for plugin in PLUGINS:
            layer.link(f"opt/cni/bin/{plugin}", f"/usr/lib/cni/{plugin}")
        _add_files(layer)
        _add_units(layer)
    return path


def _add_files(layer: Layer) -> None:
    for name, replaced in OWN_FILES.items():
        file = own.NODE / "rootfs" / name
        mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
        target = CGROUPS[1] if name == CGROUPS[0] else name
        layer.file(target, _replace(file.read_text(), replaced), mode)
    for manifest in sorted((FOLDER / "rootfs" / "node" / "kind" / "manifests").iterdir()):
        text = manifest.read_text()
        used = {name: image for name, image in IMAGES.items() if name in text}
        layer.file(f"kind/manifests/{manifest.name}", _replace(text, used))
    layer.file("kind/version", VERSION.encode())
    layer.folder("etc/kubernetes/manifests")
    # kind reads the journal of nodes from here.
    layer.folder("var/log/journal")


def _add_units(layer: Layer) -> None:
    layer.link("usr/sbin/init", "/usr/lib/systemd/systemd")
    layer.link(f"{UNITS}/default.target", "/lib/systemd/system/multi-user.target")
    for service in SERVICES:
        layer.link(f"{UNITS}/multi-user.target.wants/{service}", f"/{UNITS}/{service}")
    for unit in own.MASKED:
        layer.link(f"{UNITS}/{unit}", "/dev/null")


def _replace(text: str, replaced: Mapping[str, str]) -> bytes:
    for old, new in replaced.items():
        if old not in text:
            raise ValueError(f"a file of the node does not contain {old}")
        text = text.replace(old, new)
    return text.encode()


def _kubernetes(context: BuildContext, scratch: Path, base: str) -> list[LayeredImage]:
    images = []
    for recipe in NODE.static_images:
        if recipe.reference == own.PROVISIONER_IMAGE:
            continue
        image = recipe.image(context, scratch)
        if recipe.program == "pause":
            image = LayeredImage(IMAGES["@PAUSE@"], image.layers, image.config)
        images.append(_without_labels(image))
    return [*images, NODE._kube_proxy(context, scratch, base)]


def _added(scratch: Path, stand_ins: dict[str, Path], context: BuildContext) -> list[LayeredImage]:
    """Return the images of the pod network and of the storage."""
    iptables = scratch / "iptables.tar"
    with Layer(scratch / "kindnetd.tar") as network:
        network.archive(iptables)
        network.file("bin/kindnetd", stand_ins["kindnetd"], 0o755)
    with Layer(scratch / "local-path-provisioner.tar") as provisioner:
        provisioner.folder("tmp", 0o1777)
        name = "usr/local/bin/local-path-provisioner"
        provisioner.file(name, stand_ins["local-path-provisioner"], 0o755)
    helper = busybox_layer(context, scratch / "helper.tar")
    path = {"Env": own.CONFIG["Env"]}
    return [
        LayeredImage(IMAGES["@KINDNETD@"], (network.path,), {**path, "Cmd": ["/bin/kindnetd"]}),
        LayeredImage(IMAGES["@PROVISIONER@"], (provisioner.path,), path),
        LayeredImage(IMAGES["@HELPER@"], (helper,), path),
    ]


def _without_labels(image: LayeredImage) -> LayeredImage:
    config = {name: value for name, value in image.config.items() if name != "Labels"}
    return LayeredImage(image.reference, image.layers, config)
