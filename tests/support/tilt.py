"""Tilt's functions, recorded: what a Tiltfile requests, without Tilt.

The Tiltfile runs in a real Starlark interpreter.  Every function here has the
name and the parameters that Tilt gives it, so that a misspelt argument fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

TRIGGER_MODE_AUTO = 0
TRIGGER_MODE_MANUAL = 1

# Starlark of Tilt has modules and constants, where a callable is all that can be added.
PRELUDE = f"""
config = struct(define_string = _define_string, parse = _parse)
TRIGGER_MODE_AUTO = {TRIGGER_MODE_AUTO}
TRIGGER_MODE_MANUAL = {TRIGGER_MODE_MANUAL}
"""


def documents(text: str) -> Iterator[dict[str, Any]]:
    """Read a stream of YAML, by the C library: custom resource definitions are long."""
    yield from filter(None, yaml.load_all(text, Loader=yaml.CSafeLoader))


@dataclass
class Tilt:
    """One run of a Tiltfile.

    Args:
        context: the kubeconfig context that Tilt finds.
        arguments: what follows ``tilt up --``, by flag.

    Attributes:
        allowed: contexts that the Tiltfile allowed.
        folders: kustomizations served.
        objects: the manifests served.
        resources: what the Tiltfile declares for each workload.
        local: local resources by name.
    """

    context: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    allowed: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    local: dict[str, dict[str, Any]] = field(default_factory=dict)
    _folder: Path = Path()
    _flags: set[str] = field(default_factory=set)

    def run(self, tiltfile: Path) -> Tilt:
        """Execute ``tiltfile``; raise ``starlark.StarlarkError`` if it fails."""
        self._folder = tiltfile.parent
        module = starlark.Module()
        for name in ("_define_string", "_parse", *_FUNCTIONS):
            module.add_callable(name, getattr(self, name))
        known = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
        for file, source in (("prelude", PRELUDE), (str(tiltfile), tiltfile.read_text())):
            starlark.eval(module, starlark.parse(file, source), known)
        return self

    def _define_string(self, name: str, args: bool = False, usage: str = "") -> None:
        self._flags.add(name)

    def _parse(self) -> dict[str, str]:
        unknown = set(self.arguments) - self._flags
        assert not unknown, f"flags that the Tiltfile does not define: {unknown}"
        return dict(self.arguments)

    def k8s_context(self) -> str:
        return self.context

    def allow_k8s_contexts(self, contexts: str | list[str]) -> None:
        self.allowed += [contexts] if isinstance(contexts, str) else contexts

    def kustomize(self, pathToDir: str) -> str:  # noqa: N803 - Tilt's own name
        self.folders.append(pathToDir)
        folder = self._folder / pathToDir
        files = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
        return "\n---\n".join((folder / name).read_text() for name in files)

    def read_json(self, path: str) -> Any:
        return json.loads((self._folder / path).read_text())

    def decode_yaml_stream(self, yaml_text: str) -> list[Any]:
        return list(documents(yaml_text))

    def encode_yaml_stream(self, objs: list[Any]) -> str:
        return yaml.dump_all(objs, Dumper=yaml.CSafeDumper)

    def k8s_yaml(self, yaml_text: str, allow_duplicates: bool = False) -> None:
        self.objects += documents(yaml_text)

    def port_forward(
        self,
        local_port: int,
        container_port: int | None = None,
        name: str | None = None,
        link_path: str | None = None,
        host: str | None = None,
    ) -> dict[str, Any]:
        return {"host": host, "local": local_port, "container": container_port, "name": name}

    def k8s_resource(
        self,
        workload: str = "",
        *,
        new_name: str = "",
        port_forwards: Sequence[Any] = (),
        trigger_mode: int = TRIGGER_MODE_AUTO,
        resource_deps: Sequence[str] = (),
        objects: Sequence[str] = (),
        auto_init: bool = True,
        labels: Sequence[str] = (),
        links: Sequence[str] = (),
    ) -> None:
        served = {item["metadata"]["name"] for item in self.objects}
        assert workload in served, f"{workload} is in no manifest served so far"
        self.resources[workload] = {"forwards": port_forwards, "needs": resource_deps}

    def local_resource(
        self,
        name: str,
        *,
        cmd: str | list[str] = "",
        deps: Sequence[str] = (),
        trigger_mode: int = TRIGGER_MODE_AUTO,
        resource_deps: Sequence[str] = (),
        auto_init: bool = True,
        serve_cmd: str | list[str] = "",
        allow_parallel: bool = False,
        labels: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        dir: str = "",
    ) -> None:
        self.local[name] = {"cmd": cmd, "trigger_mode": trigger_mode, "auto_init": auto_init}


_FUNCTIONS = (
    "allow_k8s_contexts",
    "decode_yaml_stream",
    "encode_yaml_stream",
    "k8s_context",
    "k8s_resource",
    "k8s_yaml",
    "kustomize",
    "local_resource",
    "port_forward",
    "read_json",
)
