"""What kind's node image is made from, read from kind's own Go module."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path

from devstack.images import versions
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import find_go, go_environment
from devstack.process import SubprocessRunner
from devstack.progress import Silent

EXECUTABLE = ("usr/local/bin", "kind/bin")


class KindModule:
    """The module of the kind release that devstack uses; downloaded if it is missing."""

    @cached_property
    def folder(self) -> Path:
        """Its folder in Go's module cache."""
        runner, cache = SubprocessRunner(), ArtifactCache()
        go = find_go(runner, Silent(), cache)
        argv = [go, "mod", "download", "-json", f"sigs.k8s.io/kind@{versions.KIND}"]
        done = runner.run(argv, env=go_environment(cache), cwd=Path("/"))
        return Path(json.loads(done.stdout)["Dir"])

    @property
    def base_files(self) -> dict[str, tuple[Path, int]]:
        """The files of the base image, with their modes, by their paths in it."""
        root = self.folder / "images" / "base" / "files"
        found = {}
        for path in sorted(each for each in root.rglob("*") if each.is_file()):
            name = path.relative_to(root).as_posix()
            found[name] = (path, 0o755 if name.startswith(EXECUTABLE) else 0o644)
        return found

    @cached_property
    def cni_image(self) -> str:
        """The image of the default pod network."""
        return self._constant("const_cni.go", "kindnetdImage")

    @cached_property
    def provisioner_image(self) -> str:
        """The image that provisions volumes."""
        return self._constant("const_storage.go", "storageProvisionerImage")

    @cached_property
    def helper_image(self) -> str:
        """The image of the pods that create and remove the folders of volumes."""
        return self._constant("const_storage.go", "storageHelperImage")

    @property
    def manifests(self) -> dict[str, str]:
        """The manifests that kind applies, by their names below ``/kind/manifests``."""
        return {
            "default-cni.yaml": self._manifest("const_cni.go", "defaultCNIManifest"),
            "default-storage.yaml": self._manifest("const_storage.go", "defaultStorageManifest"),
        }

    def sandbox_image(self) -> str:
        """Return the pause image that containerd's configuration names."""
        text = self.base_files["etc/containerd/config.toml"][0].read_text()
        return _only(re.findall(r'sandbox_image = "(.+)"', text))

    def _source(self, file: str) -> str:
        return (self.folder / "pkg" / "build" / "nodeimage" / file).read_text()

    def _constant(self, file: str, name: str) -> str:
        return _only(re.findall(rf'^const {name} = "(.+)"$', self._source(file), re.MULTILINE))

    def _manifest(self, file: str, name: str) -> str:
        pattern = rf"^const {name} = `(.*?)^`$"
        text = _only(re.findall(pattern, self._source(file), re.MULTILINE | re.DOTALL))
        return re.sub(r"` \+ (\w+) \+ `", lambda match: self._constant(file, match[1]), text)


def _only(found: list[str]) -> str:
    (one,) = found
    return one
