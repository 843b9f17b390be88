"""Values that Metaflow does not pass to a pod as they are.

Metaflow writes the command of a pod as ``bash -c "..."`` and splits it with shlex, with each
option's value in single quotes. Quotes in a value end those quotes, of two backslashes one is
lost, and a value that begins with ``$`` is not quoted, so that the shell of the pod expands
it. The name of the flow's file and the run's id are not quoted at all. The kubelet replaces
``$$`` and ``$(NAME)`` in the whole command, as in variables.

Source: ``Kubernetes._command`` in metaflow/plugins/kubernetes/kubernetes.py,
``dict_to_cli_options`` in metaflow/util.py, and ``Container.command`` in the Kubernetes API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.arguments import FlowArguments, typed_or_set
from devstack.flows.placement import CLUSTER, Placement
from devstack.flows.setting_changes import find_environment
from devstack.flows.source import FlowSource

QUOTED_OPTIONS = ("--tag", "--namespace", "--datastore-root", "--branch", "--package-suffixes")
"""Options whose value a pod gets in single quotes; click also reads them from variables."""

FILE_NAME = "the file name"

USER_VARIABLES = ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER")
"""Where Metaflow looks for the user's name, which is part of the namespace."""

_EXPANDED = re.compile(r"\$\$|\$\([^)]+\)")
"""What the kubelet replaces in a value (Kubernetes: third_party/forked/golang/expansion)."""

_UNSAFE_IN_QUOTES = re.compile(r"""["']|\\\\|^\\*\$|[\ud800-\udfff]""")
_SAFE_WITHOUT_QUOTES = re.compile(r"[\w@%+=:,./][\w@%+=:,./-]*")


def check_pod_values(
    source: FlowSource, arguments: FlowArguments, variables: Mapping[str, str]
) -> None:
    """Reject values that would arrive altered in a pod, or be executed by its shell.

    Args:
        source: the flow.
        arguments: its arguments.
        variables: the environment of the flow's process.

    Raises:
        DevstackError: ``FLOW_VALUE_UNSUPPORTED``, which names the value.
    """
    for what, value, problem in _unsafe_values(source, arguments, variables):
        raise DevstackError(
            f"cannot pass {what} {value!r} to a pod",
            cause=problem,
            remedy=f"{_change_of(what)}; with --local, steps on this machine get any value",
            code="FLOW_VALUE_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )


def _change_of(what: str) -> str:
    if what == FILE_NAME:
        return "rename the file"
    return "set METAFLOW_USER=name" if what in USER_VARIABLES else "choose another value"


def find_expansions(source: FlowSource, placement: Placement) -> list[str]:
    """Return a sentence for each variable of ``@environment`` that the kubelet may alter.

    It does so on every cluster, so a flow may want it.
    """
    return [
        f"step {each.step} may get another value of {each.name}: the kubelet replaces $$ by $, and "
        "$(NAME) by the variable of that name; to prevent it, write $$ for each of these $"
        for each in find_environment(source.path)
        if _EXPANDED.search(each.value or "") and placement.place_of(each.step) == CLUSTER
    ]


def _unsafe_values(
    source: FlowSource, arguments: FlowArguments, variables: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    quoted = list(_quoted_values(arguments, variables))
    decorators = list(_decorators(arguments, variables))
    for what, value in quoted:
        if _UNSAFE_IN_QUOTES.search(value):
            yield what, value, "Metaflow alters quotes, double backslashes, and a leading $"
    for what, value in decorators:
        # Metaflow itself escapes the double quotes of JSON.
        if re.search(r"['\\\ud800-\udfff]", value):
            yield what, value, "Metaflow loses single quotes and backslashes"
    for what, value in (*quoted, *decorators):
        if _EXPANDED.search(value):
            yield what, value, "the kubelet replaces $$ by $, and $(NAME) by a variable of the pod"
    variable = f"METAFLOW_{arguments.command.upper()}_RUN_ID"
    run_id = typed_or_set(arguments.values_of("--run-id"), variables, variable, many=False)
    unquoted = [(FILE_NAME, source.path.name), *run_id]
    for what, value in unquoted:
        if not _SAFE_WITHOUT_QUOTES.fullmatch(value):
            yield what, value, "Metaflow does not quote it, so it may have no special characters"


def _quoted_values(
    arguments: FlowArguments, variables: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the values that a pod gets in single quotes, with their option or variable."""
    prefix = f"METAFLOW_{arguments.command.upper()}"
    others = [each for each in QUOTED_OPTIONS if each not in ("--tag", "--namespace")]
    yield from arguments.values_of(*others)
    yield from typed_or_set(arguments.values_of("--tag"), variables, f"{prefix}_TAGS")
    typed = arguments.values_of("--namespace")
    namespace = typed_or_set(typed, variables, f"{prefix}_USER_NAMESPACE", many=False)
    users = [(name, variables.get(name, "")) for name in USER_VARIABLES]
    yield from namespace or [each for each in users if each[1] not in ("", "root")][:1]


def _decorators(
    arguments: FlowArguments, variables: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the decorators of every step, with their option or variable."""
    after = f"METAFLOW_{arguments.command.upper()}_DECOSPECS"
    yield from typed_or_set(arguments.values_before("--with"), variables, "METAFLOW_DECOSPECS")
    yield from typed_or_set(arguments.values_after("--with"), variables, after)
    yield from typed_or_set([], variables, "METAFLOW_DEFAULT_DECOSPECS")
