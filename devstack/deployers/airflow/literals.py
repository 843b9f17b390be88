"""Text that reaches a task's pod unchanged, through everything that would interpret it.

A value of a variable is a Jinja template to Airflow (``template_fields`` of
KubernetesPodOperator), and the kubelet then expands ``$(NAME)`` and ``$$`` in it
(Kubernetes API, EnvVar and Container). A word of the command is read by a shell before.
"""

from __future__ import annotations

import ast
import re
import shlex

from devstack.deployers.pod_texts import unexpanded

_MAX_LABEL = 63
_PLAIN = re.compile(r"[\w ./:=@,+-]*", re.ASCII)
_LITERAL = re.compile(r"\{\{ (\"[^\"]*\") \}\}")
_PLAIN_CHARACTER = re.compile(r"[\w ./:=@,+-]", re.ASCII)


def template_literal(text: str) -> str:
    """Return a Jinja template whose result is the text.

    Jinja would otherwise interpret braces, and alter the ends of lines.
    """
    return text if _PLAIN.fullmatch(text) else f"{{{{ {template_string(text)} }}}}"


def literal_text(template: str) -> str:
    """Return the text of a template that :func:`template_literal` returned; others unchanged."""
    match = _LITERAL.fullmatch(template)
    return str(ast.literal_eval(match[1])) if match else template


def template_string(text: str) -> str:
    """Return a string of a Jinja expression; it decodes Python's escape sequences."""
    return f'"{"".join(_escaped(character) for character in text)}"'


def variable_literal(text: str) -> str:
    """Return the value of a pod's variable that is the text in the container."""
    return template_literal(unexpanded(text))


def shell_literal(text: str) -> str:
    """Return a word of a pod's shell command that is the text to the shell's program."""
    return template_literal(unexpanded(shlex.quote(text)))


def label_value(text: str) -> str:
    """Return the text as a label's value: other characters become hyphens.

    It has at most 63 characters, begins and ends with a letter or digit, or is empty
    (Kubernetes, "Labels and Selectors", syntax).
    """
    value = re.sub(r"[^A-Za-z0-9_.-]", "-", text)
    return value.lstrip("_.-")[:_MAX_LABEL].rstrip("_.-")


def _escaped(character: str) -> str:
    number = ord(character)
    if _PLAIN_CHARACTER.fullmatch(character):
        return character
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
