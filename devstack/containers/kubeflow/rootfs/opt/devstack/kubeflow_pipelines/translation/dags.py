"""DAGs of a pipeline as templates of Argo.

A component that is a DAG becomes a template of type ``dag``. A task with an iterator becomes two:
one that starts the other for each item, and that limits how many run at once. The limit of a
template counts its direct children (``checkParallelism`` in Argo's controller), so the loop needs
a template of its own. Each task that runs a container has its own template, because retries, which
a task declares, belong to the template in Argo.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeflow_pipelines.translation.containers import ContainerTask, Template, container_template
from kubeflow_pipelines.translation.pipeline import Message, Pipeline
from kubeflow_pipelines.translation.placeholders import argument_text
from kubeflow_pipelines.translation.unsupported import UnsupportedError, require_only
from kubeflow_pipelines.translation.values import NOT_TEXT, TEXT, format_value

_TASK_FIELDS = (
    # Nothing is cached: each task runs.
    "cachingOptions",
    "componentRef",
    "dependentTasks",
    "inputs",
    "iteratorPolicy",
    "parameterIterator",
    "retryPolicy",
    "taskInfo",
)
_COMPONENT_FIELDS = ("dag", "executorLabel", "inputDefinitions", "outputDefinitions")
_REMEDIES = {
    "triggerPolicy": "conditions (dsl.If) and exit handlers are not supported",
    "artifactIterator": "loops over artifacts are not supported",
}
_ITEM = "{{item}}"
_ITERATION = "iteration"
_ENTRYPOINT = "kfp-pipeline"
"""Unlike the name of a task, which is also that of its template."""


@dataclass
class Translation:
    """The templates of one pipeline.

    Attributes:
        pipeline: the pipeline.
        templates: those that were made so far; their names are unique.
    """

    pipeline: Pipeline
    templates: list[Template] = field(default_factory=list)

    def _name(self, wanted: str) -> str:
        """Return a name that no template has: letters, digits and hyphens."""
        base = re.sub(r"[^a-zA-Z0-9-]+", "-", wanted).strip("-") or "task"
        taken = {each["name"] for each in self.templates}
        name, number = base, 2
        while name in taken:
            name, number = f"{base}-{number}", number + 1
        # The place is taken before the template is made, by what it contains.
        self.templates.append({"name": name})
        return name

    def _add(self, template: Template) -> str:
        place = [each["name"] for each in self.templates].index(template["name"])
        self.templates[place] = template
        return str(template["name"])


@dataclass(frozen=True)
class _Dag:
    """A DAG while it is translated.

    Attributes:
        component: the component that it is.
        where: its place, for errors.
    """

    component: Message
    where: str

    @property
    def tasks(self) -> Mapping[str, Message]:
        found: Mapping[str, Message] = self.component["dag"].get("tasks", {})
        return found

    @property
    def inputs(self) -> Mapping[str, Message]:
        return _parameters(self.component, "inputDefinitions", self.where)


def translate(pipeline: Pipeline, given: Collection[str]) -> tuple[str, list[Template]]:
    """Return the name of the entrypoint, and all templates.

    Args:
        pipeline: the pipeline.
        given: names of the parameters that have a value.

    Raises:
        UnsupportedError: it has what this service does not support.
    """
    made = Translation(pipeline)
    root = _Dag(pipeline.root, "pipeline")
    inputs = tuple(name for name in root.inputs if name in given)
    return _dag_template(made, _ENTRYPOINT, root, inputs), made.templates


def parameters_of(pipeline: Pipeline) -> Mapping[str, Message]:
    """Return the definitions of a pipeline's parameters by name.

    Raises:
        UnsupportedError: it has artifacts as inputs.
    """
    return _Dag(pipeline.root, "pipeline").inputs


def _dag_template(made: Translation, wanted: str, dag: _Dag, inputs: tuple[str, ...]) -> str:
    """Add the template of a DAG; return its name.

    Args:
        made: the templates.
        wanted: its name, if it is free.
        dag: the DAG.
        inputs: those of its inputs that have a value.
    """
    require_only(dag.where, dag.component, _COMPONENT_FIELDS)
    require_only(dag.where, dag.component["dag"], ("outputs", "tasks"))
    if not dag.tasks:
        raise UnsupportedError(dag.where, "it has no tasks")
    name = made._name(wanted)
    tasks = [_task(made, dag, inputs, each) for each in dag.tasks]
    template: Template = {"name": name, "dag": {"tasks": tasks}}
    if inputs:
        template["inputs"] = {"parameters": [{"name": each} for each in inputs]}
    if outputs := list(_outputs(dag)):
        template["outputs"] = {"parameters": outputs}
    return made._add(template)


def _outputs(dag: _Dag) -> Iterator[dict[str, Any]]:
    outputs = dag.component["dag"].get("outputs", {})
    require_only(dag.where, outputs, ("parameters",))
    for name, output in outputs.get("parameters", {}).items():
        require_only(f"{dag.where}: output {name}", output, ("valueFromParameter",))
        source = output["valueFromParameter"]
        value = _output_reference(dag, source["producerSubtask"], source["outputParameterKey"])
        yield {"name": name, "valueFrom": {"parameter": value}}


def _output_reference(dag: _Dag, task: str, key: str) -> str:
    return "{{tasks." + task + ".outputs.parameters." + key + "}}"


def _task(made: Translation, dag: _Dag, dag_inputs: tuple[str, ...], name: str) -> dict[str, Any]:
    """Return a task of a DAG in Argo, and add its template."""
    message = dag.tasks[name]
    where = f"task {name}"
    for key, reason in _REMEDIES.items():
        if message.get(key):
            raise UnsupportedError(where, reason)
    require_only(where, message, _TASK_FIELDS)
    require_only(where, message.get("inputs", {}), ("parameters",))
    component = made.pipeline.component(message["componentRef"]["name"])
    arguments = _arguments(made.pipeline, dag, dag_inputs, name)
    task: dict[str, Any] = {"name": name}
    if message.get("parameterIterator"):
        task["template"] = _loop_template(made, name, component, message, arguments)
        item = message["parameterIterator"]["itemInput"]
        arguments = {key: value for key, value in arguments.items() if key != item}
    else:
        task["template"] = _component_template(made, name, component, message, arguments)
        known = _parameters(component, "inputDefinitions", where)
        arguments = {key: value for key, value in arguments.items() if key in known}
    if arguments:
        task["arguments"] = _argo_arguments(arguments)
    if dependencies := _dependencies(message):
        task["dependencies"] = dependencies
    return task


def _component_template(
    made: Translation,
    name: str,
    component: Message,
    message: Message,
    arguments: Mapping[str, str],
) -> str:
    """Add the templates of a task's component; return the name of the first one."""
    where = f"task {name}"
    require_only(where, component, _COMPONENT_FIELDS)
    if message.get("iteratorPolicy") and not message.get("parameterIterator"):
        raise UnsupportedError(where, "iteratorPolicy without a loop is not supported")
    if "dag" in component:
        if message.get("retryPolicy"):
            raise UnsupportedError(where, "a retry of several tasks is not supported")
        dag = _Dag(component, where)
        given = tuple(each for each in dag.inputs if each in arguments)
        return _dag_template(made, name, dag, given)
    label = component.get("executorLabel", "")
    task = ContainerTask(
        made._name(name),
        where,
        made.pipeline.executor(label),
        made.pipeline.kubernetes(label),
        _container_inputs(component, where, arguments),
        tuple(_parameters(component, "outputDefinitions", where)),
        message.get("retryPolicy", {}),
    )
    return made._add(container_template(task))


def _container_inputs(
    component: Message, where: str, arguments: Mapping[str, str]
) -> dict[str, str | None]:
    """Return the inputs that have a value: None, or the default if the task does not set it."""
    found: dict[str, str | None] = {}
    for name, definition in _parameters(component, "inputDefinitions", where).items():
        if name in arguments:
            found[name] = None
        elif definition.get("defaultValue") is not None:
            kind = str(definition.get("parameterType"))
            found[name] = format_value(f"{where}: {name}", kind, definition["defaultValue"])
        elif not definition.get("isOptional"):
            raise UnsupportedError(f"{where}: input {name}", "it has no value", "give it one")
    return found


def _loop_template(
    made: Translation,
    name: str,
    component: Message,
    message: Message,
    arguments: Mapping[str, str],
) -> str:
    """Add the template that starts a component for each item; return its name."""
    where = f"task {name}"
    iterator, policy = message["parameterIterator"], message.get("iteratorPolicy", {})
    require_only(where, iterator, ("itemInput", "items"))
    require_only(where, iterator["items"], ("inputParameter", "raw"))
    require_only(where, policy, ("parallelismLimit",))
    item, loop = iterator["itemInput"], made._name(name)
    inputs = [each for each in arguments if each != item]
    inner = {**{each: _input_reference(each) for each in inputs}, item: _ITEM}
    body = _component_template(made, f"{name}-body", component, message, inner)
    template: Template = {
        "name": loop,
        "dag": {
            "tasks": [
                {
                    "name": _ITERATION,
                    "template": body,
                    "arguments": _argo_arguments(
                        {
                            each: value
                            for each, value in inner.items()
                            if each in _inputs_of(component)
                        }
                    ),
                    "withParam": _items(where, iterator["items"], inputs),
                }
            ]
        },
    }
    if inputs:
        template["inputs"] = {"parameters": [{"name": each} for each in inputs]}
    if outputs := [*_collected(component, where)]:
        template["outputs"] = {"parameters": outputs}
    if limit := int(policy.get("parallelismLimit", 0)):
        template["parallelism"] = limit
    return made._add(template)


def _inputs_of(component: Message) -> Mapping[str, Message]:
    return _parameters(component, "inputDefinitions", "loop")


def _collected(component: Message, where: str) -> Iterator[dict[str, Any]]:
    """Yield the outputs of a loop: for each, the values of all items, in their order."""
    for name in _parameters(component, "outputDefinitions", where):
        value = "{{tasks." + _ITERATION + ".outputs.parameters." + name + "}}"
        yield {"name": name, "valueFrom": {"parameter": value}}


def _items(where: str, items: Message, inputs: list[str]) -> str:
    """Return what a loop runs over: a list in JSON, or an input that is one."""
    if "raw" in items:
        text = str(items["raw"])
        if "{{" in text:
            raise UnsupportedError(where, "placeholders among the items of a loop")
        return text
    name = items["inputParameter"]
    if name not in inputs:
        raise UnsupportedError(where, f"the items, {name}, have no value")
    return _input_reference(name)


def _input_reference(name: str) -> str:
    return "{{inputs.parameters." + name + "}}"


def _argo_arguments(values: Mapping[str, str]) -> dict[str, Any]:
    return {"parameters": [{"name": name, "value": value} for name, value in values.items()]}


def _dependencies(message: Message) -> list[str]:
    """Return the tasks that have to end before a task: also those whose outputs it gets."""
    producers = [
        each["taskOutputParameter"]["producerTask"]
        for each in message.get("inputs", {}).get("parameters", {}).values()
        if "taskOutputParameter" in each
    ]
    return sorted({*message.get("dependentTasks", []), *producers})


def _arguments(
    pipeline: Pipeline, dag: _Dag, dag_inputs: tuple[str, ...], name: str
) -> dict[str, str]:
    """Return what a task's inputs are in Argo; those without a value are left out."""
    where = f"task {name}"
    messages: Mapping[str, Message] = dag.tasks[name].get("inputs", {}).get("parameters", {})
    found: dict[str, str] = {}
    for key, message in messages.items():
        known = ("componentInputParameter", "runtimeValue", "taskOutputParameter")
        require_only(f"{where}: input {key}", message, known)
        if source := message.get("componentInputParameter"):
            # An optional input of the DAG that has no value gives none to the task.
            if source in dag_inputs:
                found[key] = _input_reference(source)
        elif produced := message.get("taskOutputParameter"):
            found[key] = _produced(pipeline, dag, produced)
    for key, message in messages.items():
        if "runtimeValue" in message:
            found[key] = _constant(f"{where}: input {key}", message["runtimeValue"], found)
    return found


def _constant(where: str, value: Message, inputs: Mapping[str, str]) -> str:
    require_only(where, value, ("constant",))
    constant = value.get("constant")
    if isinstance(constant, str):
        return argument_text(constant, where, inputs)
    kinds = {bool: "BOOLEAN", int: "NUMBER_DOUBLE", float: "NUMBER_DOUBLE", list: "LIST"}
    return format_value(where, kinds.get(type(constant), "STRUCT"), constant)


def _produced(pipeline: Pipeline, dag: _Dag, produced: Message) -> str:
    """Return the output of another task.

    Argo collects the outputs of a loop as texts, also if they are numbers: ``["1", "2"]``. The
    quotes are removed if the type has none.
    """
    task, key = produced["producerTask"], produced["outputParameterKey"]
    if task not in dag.tasks:
        raise UnsupportedError(dag.where, f"it has no task {task}")
    if _collects_numbers(pipeline, dag.tasks[task], key):
        reference = f"tasks['{task}'].outputs.parameters['{key}']"
        return "{{=sprig.replace('\"', '', " + reference + ")}}"
    return _output_reference(dag, task, key)


def _collects_numbers(pipeline: Pipeline, task: Message, key: str) -> bool:
    """Return True if an output is the list of a loop's numbers or truth values."""
    if not task.get("parameterIterator"):
        return False
    component = pipeline.component(task["componentRef"]["name"])
    outputs = component.get("dag", {}).get("outputs", {}).get("parameters", {})
    source = outputs.get(key, {}).get("valueFromParameter")
    if source is None:
        return False
    inner = component["dag"]["tasks"][source["producerSubtask"]]
    if inner.get("parameterIterator"):
        return _collects_numbers(pipeline, inner, source["outputParameterKey"])
    definitions = pipeline.component(inner["componentRef"]["name"]).get("outputDefinitions", {})
    kind = definitions.get("parameters", {}).get(source["outputParameterKey"], {})
    return kind.get("parameterType", TEXT) in NOT_TEXT


def _parameters(component: Message, kind: str, where: str) -> Mapping[str, Message]:
    """Return the parameters among the inputs or outputs of a component.

    Raises:
        UnsupportedError: it has artifacts.
    """
    definitions = component.get(kind, {})
    if artifacts := definitions.get("artifacts"):
        names = ", ".join(sorted(artifacts))
        raise UnsupportedError(where, f"artifacts are not supported: {names}")
    found: Mapping[str, Message] = definitions.get("parameters", {})
    return found
