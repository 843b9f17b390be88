"""Placeholders in texts of a pipeline, as Argo's.

kfp's compiler writes ``{{$.inputs.parameters['NAME']}}`` and
``{{$.outputs.parameters['NAME'].output_file}}``. metaflow-kubeflow writes Argo's own in addition,
because upstream's backend runs pipelines on Argo, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from kubeflow_pipelines.translation.unsupported import UnsupportedError

OUTPUTS = "/tmp/kfp/outputs"  # noqa: S108 - in a container of its own
"""The folder of output parameters in a container, a volume."""

RUN_ID_LABEL = "pipeline/runid"

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INPUT = re.compile(r"\$\.inputs\.parameters\['([^']+)'\]")
_OUTPUT = re.compile(r"\$\.outputs\.parameters\['([^']+)'\]\.output_file")
_CONDITIONAL = re.compile(r'\{"(IfPresent|Concat)":')
_OF_WORKFLOW = (
    "workflow.creationTimestamp",
    f"workflow.labels.{RUN_ID_LABEL}",
    "workflow.name",
    "workflow.namespace",
    "workflow.uid",
)
_RETRIES = "retries"


@dataclass(frozen=True)
class Scope:
    """What a text may refer to.

    Attributes:
        where: the task, for an error.
        inputs: the names of the container's inputs.
        outputs: the names of its output parameters.
        has_retries: True if the task has a retry policy.
        expanded: True if Kubernetes replaces ``$(NAME)`` in the text, as in arguments.
    """

    where: str
    inputs: Collection[str] = field(default_factory=tuple)
    outputs: Collection[str] = field(default_factory=tuple)
    has_retries: bool = False
    expanded: bool = True


def container_text(text: str, scope: Scope) -> str:
    """Return a text of a container with Argo's placeholders instead of Kubeflow's.

    Kubernetes replaces ``$(NAME)`` and ``$$`` in commands, arguments and variables; upstream's
    backend starts the program itself, so it gets them unchanged. Each dollar sign is doubled, also
    those in values of inputs, which an expression of Argo does at run time.

    Raises:
        UnsupportedError: it has a placeholder that this service does not know.
    """
    if _CONDITIONAL.match(text):
        raise UnsupportedError(
            scope.where, "IfPresent and Concat in arguments are not supported", "use a fixed text"
        )
    escape: Callable[[str], str] = _double_dollars if scope.expanded else str
    return _replaced(text, scope.where, escape, lambda tag: _container_tag(tag, scope))


def argument_text(text: str, where: str, inputs: Mapping[str, str]) -> str:
    """Return a constant of a task, which may contain inputs of the same task.

    Args:
        text: such as ``{{$.inputs.parameters['pipelinechannel--x']}}-suffix``.
        where: the task, for an error.
        inputs: what the inputs are in Argo.

    Raises:
        UnsupportedError: it has another placeholder.
    """

    def resolve(tag: str) -> str:
        match = _INPUT.fullmatch(tag)
        if match is None or match[1] not in inputs:
            raise _unknown(where, tag)
        return inputs[match[1]]

    return _replaced(text, where, str, resolve)


def output_path(name: str) -> str:
    """Return the file in which a container writes an output parameter."""
    return f"{OUTPUTS}/{name}"


def _container_tag(tag: str, scope: Scope) -> str:
    if match := _INPUT.fullmatch(tag):
        if match[1] not in scope.inputs:
            raise UnsupportedError(
                scope.where,
                f"the optional input {match[1]} has no value, but an argument contains it",
                "give it a value or a default",
            )
        reference = f"inputs.parameters['{match[1]}']"
        if scope.expanded:
            return "{{=sprig.replace('$', '$$', " + reference + ")}}"
        return "{{=" + reference + "}}"
    if (match := _OUTPUT.fullmatch(tag)) and match[1] in scope.outputs:
        return output_path(match[1])
    if tag in _OF_WORKFLOW or (tag == _RETRIES and scope.has_retries):
        return "{{" + tag + "}}"
    raise _unknown(scope.where, tag)


def _unknown(where: str, tag: str) -> UnsupportedError:
    if tag == "$":
        return UnsupportedError(
            where,
            "a Python component (@dsl.component) needs Kubeflow's own executor",
            "use @dsl.container_component",
        )
    return UnsupportedError(where, f"the placeholder {{{{{tag}}}}} is not supported")


def _replaced(
    text: str, where: str, escape: Callable[[str], str], resolve: Callable[[str], str]
) -> str:
    parts, end = [], 0
    for match in _TAG.finditer(text):
        parts += [escape(text[end : match.start()]), resolve(match[1].strip())]
        end = match.end()
    rest = text[end:]
    if "{{" in rest:
        raise UnsupportedError(where, "Argo takes {{ for a template of its own")
    return "".join([*parts, escape(rest)])


def _double_dollars(text: str) -> str:
    return text.replace("$", "$$")
