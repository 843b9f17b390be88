"""Changes that make the published metaflow-kubeflow work unmodified on a stack.

They are applied to its modules, and to kfp's client, right after Python has imported them. Each one
names what the package, version 0.0.4, does without it. Metaflow imports this module in every
process in the environment of a stack, so it imports the standard library only.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "metaflow_extensions.kubeflow_pipelines_ext.plugins.kubeflow_pipelines"
URL = "METAFLOW_KUBEFLOW_PIPELINES_URL"
TOKEN = "DEVSTACK_KUBEFLOW_TOKEN"  # noqa: S105 - the variable's name

Patch = Callable[[Any], None]


def install() -> None:
    """Patch the modules as soon as they are imported, or now if they have been."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name, patch in PATCHES.items():
        if name in sys.modules:
            patch(sys.modules[name])


class _Finder(MetaPathFinder):
    """Finds the modules to patch as Python does, and lets a loader of its own import them."""

    def __init__(self) -> None:
        self._searching: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a module to patch; None for all others."""
        if fullname not in PATCHES or fullname in self._searching:
            return None
        self._searching.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, PATCHES[fullname])
        return spec


class _Loader(Loader):
    """Imports a module with its own loader, then patches it."""

    def __init__(self, loader: Loader, patch: Patch) -> None:
        self._loader = loader
        self._patch = patch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the module's own loader returns."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, then patch it."""
        self._loader.exec_module(module)
        self._patch(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _Decorators:
    """``metaflow.decorators`` with the function that Metaflow 2.19.23 removed.

    ``_init`` evaluated the attributes of decorators; since Netflix/metaflow#3079
    ``_init_step_decorators``, which the package calls next, does.
    """

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    @staticmethod
    def _init(*_arguments: Any, **_options: Any) -> None:
        """Do nothing."""


def _patch_commands(module: Any) -> None:
    """Let ``create`` work with the current Metaflow, and refuse before anything is uploaded."""
    if not hasattr(module.decorators, "_init"):
        module.decorators = _Decorators(module.decorators)
    make_flow = module.make_flow

    @wraps(make_flow)
    def check_then_make(obj: Any, pipeline_name: str, token: str, tags: Any, *rest: Any) -> Any:
        from .kubeflow_checks import check_flow

        check_flow(obj.flow, obj.graph, tags or ())
        return make_flow(obj, pipeline_name, token, tags, *rest)

    module.make_flow = check_then_make


def _patch_pipelines(module: Any) -> None:
    """Keep the settings of ``@kubernetes``, ``@resources`` and ``@schedule``."""
    pipelines = module.KubeflowPipelines
    resources_of = pipelines._get_kubernetes_resources
    variables_of = pipelines._get_environment_variables
    parameters_of = pipelines._process_parameters

    def resources(self: Any, node: Any) -> dict[str, Any]:
        from .kubeflow_pod_settings import complete_resources

        return complete_resources(node.name, resources_of(self, node), _kubernetes(node))

    def variables(self: Any, node: Any) -> dict[str, str]:
        from .kubeflow_parameters import config_variables
        from .kubeflow_pod_settings import pod_variables

        own = {
            **variables_of(self, node),
            **pod_variables(_kubernetes(node)),
            **config_variables(self.flow),
        }
        # kfp takes texts only; `@environment` of Metaflow takes numbers, too.
        return {name: str(value) for name, value in own.items()}

    def parameters(self: Any) -> dict[str, dict[str, Any]]:
        from .kubeflow_parameters import python_types

        return python_types(parameters_of(self))

    def schedule(self: Any) -> str | None:
        from .kubeflow_schedule import kubeflow_cron

        return kubeflow_cron(self.flow._flow_decorators.get("schedule"))

    for name in ("upload", "schedule"):
        setattr(pipelines, name, _with_reason(module, getattr(pipelines, name)))
    pipelines.trigger = classmethod(_with_reason(module, pipelines.trigger.__func__))
    pipelines._get_kubernetes_resources = resources
    pipelines._get_environment_variables = variables
    pipelines._process_parameters = parameters
    pipelines._get_schedule = schedule


def _with_reason(module: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises an error of Metaflow for one of kfp's client.

    The package lets kfp's exceptions pass, which end in a traceback.
    """

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except Exception as error:
            if type(error).__name__ != "ApiException":
                raise
            reason = getattr(error, "reason", "") or str(error)
            raise module.KubeflowPipelineException(f"Kubeflow Pipelines: {reason}") from error

    return call


def _patch_exceptions(module: Any) -> None:
    """Let an error of the API say why, not only ``Bad Request``: its answer has a message."""
    original = module.ApiException.__init__

    @wraps(original)
    def initialize(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        try:
            message = json.loads(self.body).get("message")
        except (AttributeError, TypeError, ValueError):
            return
        if message:
            self.reason = f"{self.reason}: {message}"

    module.ApiException.__init__ = initialize


def _kubernetes(node: Any) -> dict[str, Any]:
    """Return the attributes of a step's ``@kubernetes``."""
    attributes: dict[str, Any] = next(
        each.attributes for each in node.decorators if each.name == "kubernetes"
    )
    return attributes


def _patch_client(module: Any) -> None:
    """Let kfp's client send the stack's token to the stack's service: the package passes none."""
    original = module.Client.__init__

    @wraps(original)
    def initialize(self: Any, host: str | None = None, *arguments: Any, **options: Any) -> None:
        address = (host or os.environ.get("KF_PIPELINES_ENDPOINT") or "").rstrip("/")
        token = os.environ.get(TOKEN)
        if token and address and address == os.environ.get(URL, "").rstrip("/"):
            options.setdefault("existing_token", token)
        original(self, host, *arguments, **options)

    module.Client.__init__ = initialize


PATCHES: dict[str, Patch] = {
    f"{PACKAGE}.kubeflow_pipelines_cli": _patch_commands,
    f"{PACKAGE}.kubeflow_pipelines": _patch_pipelines,
    "kfp.client.client": _patch_client,
    "kfp_server_api.exceptions": _patch_exceptions,
}
"""What is applied to a module, by its name."""
