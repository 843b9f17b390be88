"""The user's texts in the scripts and variables of a workflow's pods.

Everything in a template is read by Argo, which replaces ``{{...}}``
(argo-workflows, util/template), then by the kubelet, which replaces ``$(NAME)`` and ``$$``, and a
script by a shell. Imported in the user's Python.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from devstack.deployers.pod_texts import unexpanded

BRACE = "DEVSTACK_BRACE"
"""A variable with one brace: the kubelet puts it where Argo must not see two."""

_BRACES = re.compile(r"(?<=\{)\{")
_SET_PARAMETERS = "python -m metaflow.plugins.argo.set_parameters "
_PROGRAM = """
import base64, json, os, shlex, sys
with open(sys.argv[1], "w", encoding="utf-8") as file:
    for item in sys.argv[2:]:
        name, optional, encoded = item.split(",")
        text = base64.b64decode(encoded).decode("utf-8")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if optional == "t" and value is None:
            continue
        word = shlex.quote(value if isinstance(value, str) else json.dumps(value))
        file.write("export METAFLOW_INIT_%s=%s\\n" % (name.upper().replace("-", "_"), word))
os.chmod(sys.argv[1], 0o775)
"""
"""What metaflow/plugins/argo/set_parameters.py does, with quotes that a shell reads as the text.

It has no single quotes, and nothing that Argo or the kubelet would replace."""


def shell_word(text: str) -> str:
    """Return a word of a pod's shell command that is the text to the shell's program."""
    # In single quotes, which end and begin again between two braces.
    return unexpanded(_BRACES.sub("''{", shlex.quote(text)))


def variables(given: Mapping[Any, Any]) -> dict[str, str]:
    """Return variables of a pod whose values in the container are the given ones, in order."""
    values = {str(name): unexpanded(str(value)) for name, value in given.items()}
    made = {name: _BRACES.sub(f"$({BRACE})", value) for name, value in values.items()}
    return {BRACE: "{", **made} if made != values else made


def set_parameters_exactly(script: str) -> tuple[str, bool]:
    """Return a script in which Parameters arrive exactly, and whether it sets any.

    Args:
        script: the script of a step's pod, as Metaflow writes it.
    """
    changed = script.replace(_SET_PARAMETERS, f"python -c '{_PROGRAM}' ")
    return changed, changed != script
