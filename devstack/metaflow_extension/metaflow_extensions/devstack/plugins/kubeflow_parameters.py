"""A flow's Parameters as kfp knows them, and its Configs as its pods find them."""

from __future__ import annotations

import json
from typing import Any

_TYPES = {
    "integer": int,
    "integer range": int,
    "float": float,
    "float range": float,
    "boolean": bool,
}
"""Python's types by the names of click's."""

_KNOWN = (int, float, bool, str)


def python_types(parameters: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the parameters with Python's types instead of click's, which kfp refuses."""
    return {name: {**each, "type": _python_type(each["type"])} for name, each in parameters.items()}


def _python_type(kind: Any) -> type:
    if kind in _KNOWN:
        found: type = kind
        return found
    return _TYPES.get(str(getattr(kind, "name", "")), str)


def config_variables(flow: Any) -> dict[str, str]:
    """Return the variable with which pods find a flow's Configs in the code package.

    As Metaflow's compiler for Argo sets it (``ArgoWorkflows._process_config_parameters``). Without
    it a pod reads a Config's default instead of the value that was deployed.
    """
    from metaflow.user_configs.config_options import ConfigInput

    names = [each.name for _, each in flow._get_parameters() if is_config(each)]
    if not names:
        return {}
    keys = {name: ConfigInput.make_key_name(name) for name in names}
    return {"METAFLOW_FLOW_CONFIG_VALUE": json.dumps(keys)}


def is_config(parameter: Any) -> bool:
    """Return True for a Config, which has its value when a flow is deployed."""
    return bool(getattr(parameter, "IS_CONFIG_PARAMETER", False))
