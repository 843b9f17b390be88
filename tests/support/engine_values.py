"""Values that must arrive unchanged in a pod, and a flow that checks them, on every engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

TEXTS = (
    "plain",
    "Zürich 東京 😀",
    "$HOME ${HOME} $(HOSTNAME) $$ \\$x",
    "`id` \\ \\\\ \\n",
    "one\ntwo\r\nthree\n",
    "'single' \"double\" it's",
    "{{ name }} {% if x %} {# y #} }} {{{ $",
    "; rm -rf * & | > x # y ! ~ [a] (b)",
    " begins and ends with spaces ",
    "-n --x=y",
    "settings.json",
    '%s {0} <a href="x">&amp;</a>',
    "\x07\x1b[0m\t",
)
"""Texts with everything that Jinja, Argo, JSON, the kubelet or a shell would interpret."""

TEXT = "Zürich 東京 $HOME $(HOSTNAME) $$ `id` \\n \\ 'a' \"b\" {{ ds }} {% if x %} {# z\n\r\nend\n"
TAG = "it's $HOME `id` {{ ds }} é; exit 1"
"""A text and a tag for runs on real engines."""

RECORDER = """\
#!{python}
import json, os, sys
if sys.argv[1] == "-c":
    program, sys.argv = sys.argv[2], ["-c", *sys.argv[3:]]
    sys.exit(exec(program))
if "-m" in sys.argv:
    sys.exit(sys.stdin.read() if "metaflow.mflog.tee" in sys.argv else 0)
with open({record!r}, "a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
sys.exit("dump" in sys.argv)
"""
"""In place of a pod's Python: records what a flow's process gets, and runs other programs."""

SPEC = 'environment:vars={"TWO": "a $HOME it\'s {{ x }}"}'

USER = "Jané {{ x }} $HOME"
NAMESPACE = "a $HOME 'b'\n"


def flow_text(size: str = "size") -> str:
    """Return a flow with all texts as defaults and variables; ``size`` names a Parameter."""
    return f"""
from metaflow import *
TEXTS = {TEXTS!r}
class ValuesFlow(FlowSpec):
    size = Parameter({size!r}, default=1, type=float)
    my_flag = Parameter("my-flag", default=True)
    data = Parameter("data", type=JSONType, default={{"a": ["ü", None]}})
    late = Parameter("late", default=lambda context: "at deployment")
    settings = Config("settings", default_value={{"n": 3}})
    {"".join(f"text{n} = Parameter('text{n}', default=TEXTS[{n}]);" for n in range(len(TEXTS)))}
    @environment(vars={{"N": 3, **{{f"TEXT{{n}}": text for n, text in enumerate(TEXTS)}}}})
    @step
    def start(self):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    ValuesFlow()
"""


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Expand text as the kubelet does."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([-._a-zA-Z0-9]+)\)", replace, text)


Call = tuple[list[str], dict[str, str]]
"""The arguments and variables of a flow's process."""


def execute(script: str, variables: Mapping[str, str], folder: Path) -> list[Call]:
    """Execute a pod's script without its setup; return arguments and variables of each flow.

    Args:
        script: the script, as a shell gets it.
        variables: the pod's variables.
        folder: a folder of the test.
    """
    record, bin_folder = folder / "record", folder / "bin"
    bin_folder.mkdir()
    python = bin_folder / "python"
    python.write_text(RECORDER.format(python=sys.executable, record=str(record)))
    python.chmod(0o755)
    setup, _, rest = script.partition("flush_mflogs && (")
    assert "pip install" in setup
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-c", f"({rest}"],
        env={**variables, "PATH": path, "MFLOG_STDOUT": "o", "MFLOG_STDERR": "e", "HOME": "wrong"},
        cwd=folder,
        check=True,
    )
    return [json.loads(line) for line in record.read_text().splitlines()]


def options(argv: list[str], name: str) -> list[str]:
    """Return the values of an option."""
    values = [each.partition("=")[2] for each in argv if each.startswith(f"{name}=")]
    return values + [argv[index + 1] for index, each in enumerate(argv) if each == name]
