"""The arguments of ``devstack airflow``, from those of Metaflow's Deployer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from metaflow.exception import MetaflowException

FILE = "devstack-dag.py"
"""Stands for the DAG's file in Metaflow's arguments; devstack chooses another."""

_GROUP = "airflow"
_NAME = "--name"
_BRANCH = "--branch"
_PRODUCTION = "--production"


def deploy_arguments(command: Sequence[str], python: str) -> list[str]:
    """Return the arguments of ``devstack`` that deploy a flow.

    Args:
        command: Metaflow's arguments: ``FLOW.py [OPTIONS] airflow [--name NAME] create FILE
            [OPTIONS]``, in which FILE is :data:`FILE`.
        python: the interpreter that compiles the flow.
    """
    place = len(command) - 1 - list(reversed(command)).index(FILE)
    flow, before, create = command[0], list(command[1 : place - 1]), list(command[place + 1 :])
    argv = [_GROUP, "deploy", flow, "--json", "--python", python, *create]
    if before[-3:-1] == [_GROUP, _NAME]:
        argv += [_NAME, before.pop()]
        before.pop()
    options = before[:-1]
    if _BRANCH in options:
        index = options.index(_BRANCH)
        argv += [_BRANCH, options[index + 1]]
        del options[index : index + 2]
    if _PRODUCTION in options:
        argv.append(_PRODUCTION)
        options.remove(_PRODUCTION)
    # With the command, all options before it are those of Metaflow itself.
    return [*argv, "--", *options, "run"] if options else argv


def parameter_options(
    values: Mapping[str, Any], parameters: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return the options of ``devstack airflow trigger`` for values of a flow's Parameters.

    Args:
        values: values by the Parameter's name, or by its name in Metaflow's Python API, in which
            ``my-n`` is ``my_n``. None stands for the default.
        parameters: the deployed flow's Parameters, with name and kind.

    Raises:
        MetaflowException: the flow has no such Parameter.
    """
    options = []
    for name, value in values.items():
        if value is not None:
            parameter = _find(name, parameters)
            options += ["--param", f"{parameter['name']}={_text(value, parameter['kind'])}"]
    return options


def _find(name: str, parameters: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for wanted in (str, _python_name):
        for each in parameters:
            if wanted(each["name"]) == wanted(name):
                return each
    names = ", ".join(sorted(each["name"] for each in parameters)) or "none"
    raise MetaflowException(f"the flow has no Parameter {name!r}; it has {names}")


def _python_name(name: str) -> str:
    return name.replace("-", "_").lower()


def _text(value: Any, kind: str) -> str:
    """Return a value as text; that of a JSON Parameter is any value, as in Metaflow's Runner."""
    return json.dumps(value, ensure_ascii=False) if kind == "json" else str(value)
