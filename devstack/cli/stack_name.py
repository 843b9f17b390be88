"""Commands in messages, with the stack that they are about."""

from __future__ import annotations

import re

_COMMAND = re.compile(
    r"devstack (?:(?:pvc|node) (?:create|list|delete|cordon|drain|interrupt|kill|restore)"
    r"|airflow (?:delete|list|logs|open|runs|trigger)|images (?:add|list|login|logout)"
    r"|(?:up|down|status|doctor|logs|why|kubectl|run|env|shell))(?![-.\w])"
)
"""A command that has the option --name."""

_REST = re.compile(r"[^`;\n]*")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def add_stack_name(text: str, name: str) -> str:
    """Return a message whose commands are about the stack ``name``.

    Args:
        text: a remedy; what already names a stack stays as it is.
        name: the stack as ``--name`` has it; empty if the default or the settings name it.
    """
    if not _NAME.fullmatch(name):
        return text

    def named(found: re.Match[str]) -> str:
        rest = _REST.match(text, found.end())
        own = rest is not None and re.search(r"--(name|all)\b", rest[0])
        return found[0] if own else f"{found[0]} --name {name}"

    return _COMMAND.sub(named, text)
