"""The arguments after ``--``, sorted by where Metaflow expects them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from devstack.flows.metaflow_options import (
    DECORATOR_OPTIONS,
    RESUME_OPTIONS,
    RUN_OPTIONS,
    TOP_LEVEL_OPTIONS,
)
from devstack.flows.source import FlowSource

_COMMAND_OPTIONS = {"run": RUN_OPTIONS, "resume": RESUME_OPTIONS}
_HELP = "--help"


@dataclass(frozen=True)
class FlowArguments:
    """The arguments of a flow's file: ``flow.py TOP_LEVEL COMMAND REST``.

    Attributes:
        top_level: the options before the command.
        command: Metaflow's command.
        rest: the options of the command, and the flow's parameters.
        starts_run: False for a command that starts no run, such as ``show``, and for help.
    """

    top_level: tuple[str, ...]
    command: str
    rest: tuple[str, ...]
    starts_run: bool

    @property
    def argv(self) -> list[str]:
        """All arguments, as Metaflow expects them."""
        return [*self.top_level, self.command, *self.rest]

    @property
    def rest_groups(self) -> list[list[str]]:
        """``rest`` as groups: each option with its values, and each other argument alone."""
        return list(_groups(self.rest, {**TOP_LEVEL_OPTIONS, **_COMMAND_OPTIONS["run"]}))

    @property
    def is_spin(self) -> bool:
        """True if Metaflow keeps artifacts and records in the current folder.

        It then ignores ``@kubernetes`` and the chosen datastore and metadata (``start`` in
        metaflow/cli.py).
        """
        return self.values_of("--mode")[-1:] == [("--mode", "spin")]

    def values_of(self, *options: str) -> list[tuple[str, str]]:
        """Return these options with their first values."""
        return [*self.values_before(*options), *self.values_after(*options)]

    def values_before(self, *options: str) -> list[tuple[str, str]]:
        """Return those of these options that stand before the command."""
        return self._values(self.top_level, options)

    def values_after(self, *options: str) -> list[tuple[str, str]]:
        """Return those of these options that stand after the command."""
        return self._values(self.rest, options)

    def _values(self, arguments: Sequence[str], options: Collection[str]) -> list[tuple[str, str]]:
        known = {**TOP_LEVEL_OPTIONS, **_COMMAND_OPTIONS.get(self.command, {})}
        found = []
        for group in _groups(arguments, known):
            option, equals, value = group[0].partition("=")
            if option in options and (equals or group[1:]):
                found.append((option, value if equals else group[1]))
        return found


def typed_or_set(
    typed: Sequence[tuple[str, str]],
    variables: Mapping[str, str],
    variable: str,
    *,
    many: bool = True,
) -> list[tuple[str, str]]:
    """Return the typed values of an option, or those of its variable, as click splits them.

    Args:
        typed: what the user typed, each with the option's name.
        variables: the environment of the flow's process.
        variable: the variable from which click reads the option.
        many: True for an option that may be repeated.
    """
    value = variables.get(variable, "")
    values = value.split() if many else filter(None, [value])
    return [*typed] or [(variable, each) for each in values]


def parse_arguments(source: FlowSource, arguments: Sequence[str]) -> FlowArguments:
    """Sort arguments by where Metaflow expects them.

    Without a command, they are those of ``run``. Top-level options of ``run`` and
    ``resume`` may stand before and after the command; an option that both levels have, and
    a parameter of the flow, stay after it. The arguments of other commands stay as they are.

    Args:
        source: the flow; its parameters and decorators determine what an option means.
        arguments: what the user typed.
    """
    top_level = _top_level_options(source)
    parameters = {f"--{name}": 1 for name in source.parameters}
    known = {**parameters, **RESUME_OPTIONS, **RUN_OPTIONS, **top_level}
    before, command, after = _split(arguments, known)
    if command and command not in _COMMAND_OPTIONS:
        if all(_option(group) in top_level for group in _groups(before, top_level)):
            return FlowArguments(tuple(before), command, tuple(after), starts_run=False)
        # Not a command, but an argument too many among those of `run`.
        before, command, after = list(arguments), "", []
    return _run_arguments(top_level, parameters, before, command, after)


def _run_arguments(
    top_level: Mapping[str, int],
    parameters: Mapping[str, int],
    before: Sequence[str],
    command: str,
    after: Sequence[str],
) -> FlowArguments:
    own = _COMMAND_OPTIONS[command or "run"]
    known = {**top_level, **own}
    first: list[str] = []
    rest: list[str] = []
    late = top_level.keys() - own.keys()
    for group in _groups(before, known):
        option = _option(group)
        # With a command, an option stays before it unless it cannot be one of the top level:
        # an option of both levels, such as `--with`, and one that a mutator adds to the flow.
        later = option in own or option in parameters
        is_first = option in top_level or not later if command else option in late
        (first if is_first else rest).extend(group)
    for group in _groups(after, known):
        (first if _option(group) in late else rest).extend(group)
    helps = any(group[0] == _HELP for group in _groups(rest, known))
    return FlowArguments(tuple(first), command or "run", tuple(rest), starts_run=not helps)


def _top_level_options(source: FlowSource) -> dict[str, int]:
    options = dict(TOP_LEVEL_OPTIONS)
    for decorator, added in DECORATOR_OPTIONS.items():
        if decorator in source.decorators:
            options.update(added)
    return {
        option: values
        for option, values in options.items()
        if option.removeprefix("--") not in source.parameters
    }


def _split(arguments: Sequence[str], known: Mapping[str, int]) -> tuple[list[str], str, list[str]]:
    """Return the arguments before the command, the command or "", and those after it."""
    before: list[str] = []
    for group in _groups(arguments, known):
        if _is_option(group[0]):
            if group[0] not in known and group[1:] and group[1] in _COMMAND_OPTIONS:
                # A flag that is not known, and the command.
                place = len(before) + 1
                return [*before, group[0]], group[1], list(arguments[place + 1 :])
            before += group
        else:
            place = len(before)
            return before, group[0], list(arguments[place + 1 :])
    return before, "", []


def _groups(arguments: Sequence[str], known: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield each option with its values, and each other argument alone.

    An option that is not known is a parameter of the flow, which takes one value.
    """
    rest = list(arguments)
    while rest:
        first = rest.pop(0)
        count = known.get(first, 1) if _is_option(first) and "=" not in first else 0
        yield [first, *rest[:count]]
        rest = rest[count:]


def _option(group: Sequence[str]) -> str:
    return group[0].partition("=")[0]


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and len(argument) > 1
