"""A stand-in for kind's node image: nothing of devstack inside, and kind's own manifests."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devstack.images.archive import Layer, LayeredImage, write_images
from devstack.images.build import NODES
from devstack.images.build_context import BuildContext
from devstack.images.debian import RootFileSystem
from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED, node_image
from devstack.images.programs import PROGRAMS, VERSIONED, Program, versioned
from devstack.images.recipes import node as own
from tests.containers.upstream.images import busybox_layer
from tests.containers.upstream.kind_module import KindModule

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
    kind = KindModule()
    files = FILES.build(context.runner, context.progress, context.cache)
    layer = _layer(context, scratch / "node.tar", kind)
    base = f"{BASE}:{VERSION}"
    context.remove_later(base)
    context.load(LayeredImage(base, (files, layer), own.CONFIG), scratch)
    archives = scratch / "archives"
    archives.mkdir()
    images = [
        *_kubernetes(context, scratch, base, kind),
        *_added(scratch, kind, stand_ins, context),
    ]
    write_images(archives / "images.tar", images)
    target = f"{TARGET}:{VERSION}"
    context.remove_later(target)
    _prepare(base, target, archives)
    return target


def _prepare(base: str, target: str, archives: Path) -> None:
    """Import the images in a container, and commit it without a label, as kind does."""
    script = (FOLDER / "rootfs" / "node" / "prepare").read_text()
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


def _layer(context: BuildContext, path: Path, kind: KindModule) -> Path:
    with Layer(path) as layer:
        for name, (file, mode) in kind.base_files.items():
            layer.file(name, file, mode)
        for name, folder in BINARIES.items():
            program = versioned(name, DEFAULT) if name in VERSIONED else name
            layer.file(f"{folder}/{name}", context.program(program), 0o755)
        # It executes Debian's runc, which has another place.
        layer.file("usr/local/sbin/runc", context.program("runc-wrapper"), 0o755)
        for name, text in kind.manifests.items():
            layer.file(f"kind/manifests/{name}", text.encode())
        layer.file("kind/version", VERSION.encode())
    return path


def _kubernetes(
    context: BuildContext, scratch: Path, base: str, kind: KindModule
) -> list[LayeredImage]:
    images = []
    for recipe in NODE.static_images:
        if recipe.reference == own.PROVISIONER_IMAGE:
            continue
        image = recipe.image(context, scratch)
        if recipe.program == "pause":
            image = LayeredImage(kind.sandbox_image(), image.layers, image.config)
        images.append(_without_labels(image))
    return [*images, NODE._kube_proxy(context, scratch, base)]


def _added(
    scratch: Path, kind: KindModule, stand_ins: dict[str, Path], context: BuildContext
) -> list[LayeredImage]:
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
        LayeredImage(kind.cni_image, (network.path,), {**path, "Cmd": ["/bin/kindnetd"]}),
        LayeredImage(kind.provisioner_image, (provisioner.path,), path),
        LayeredImage(kind.helper_image, (helper,), path),
    ]


def _without_labels(image: LayeredImage) -> LayeredImage:
    config = {name: value for name, value in image.config.items() if name != "Labels"}
    return LayeredImage(image.reference, image.layers, config)
