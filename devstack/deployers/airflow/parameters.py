"""A flow's Parameters as those of a DAG, and their way into the pod that begins a run.

Metaflow exports them in a shell script, as JSON in double quotes: the shell expands ``$``
and backquotes, and characters beyond ASCII arrive as escape sequences. Here the pod gets a
variable for each, and the command that begins the run gets its text as an option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devstack.deployers.airflow.literals import shell_literal, template_string
from devstack.deployers.flow_description import ParameterDescription
from devstack.deployers.typed_values import convert_value

JSON_MEDIA = "application/json"
FILE_MEDIA = "application/vnd.metaflow.include-file"
"""``contentMediaType`` of an IncludeFile's default; its value is where the file was uploaded."""

_SCHEMAS: Mapping[str, Mapping[str, str]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "json": {"type": "string", "contentMediaType": JSON_MEDIA},
    "file": {"type": "string", "contentMediaType": FILE_MEDIA},
}
"""JSON schema by the kind of a parameter."""


def build_parameter(description: ParameterDescription, text: str = "") -> dict[str, Any]:
    """Return a parameter as in the DAG file.

    Args:
        description: the flow's parameter.
        text: the text that its help has.

    Raises:
        ValueError: its default is not of its type.
    """
    default = convert_value(description.kind, description.default)
    shown = {"description": text} if text else {}
    return {"name": description.name, "default": default, **shown, **_SCHEMAS[description.kind]}


def kind_of_schema(schema: Mapping[str, Any]) -> str:
    """Return the kind of a parameter by its JSON schema in Airflow."""
    media = {JSON_MEDIA: "json", FILE_MEDIA: "file"}
    if schema.get("contentMediaType") in media:
        return media[schema["contentMediaType"]]
    kind = schema.get("type") or "string"
    return str(kind) if kind in _SCHEMAS else "string"


def parameter_variables(parameters: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the variables of the first pod with the parameters' values."""
    return [
        {"name": _variable(index), "value": _template(parameter["name"])}
        for index, parameter in enumerate(parameters)
    ]


def parameter_options(parameters: Sequence[Mapping[str, Any]]) -> str:
    """Return the options of ``init`` with the parameters' values, for a shell."""
    options = []
    for index, parameter in enumerate(parameters):
        option = shell_literal(f"--{parameter['name']}=")
        options.append(f'{option}"${_variable(index)}"')
    return " ".join(options)


def _variable(index: int) -> str:
    return f"DEVSTACK_PARAMETER_{index}"


def _template(name: str) -> str:
    # The kubelet turns two dollar signs into one.
    return f"{{{{ params[{template_string(name)}] | string | replace('$', '$$') }}}}"
