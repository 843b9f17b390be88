"""A composite action, run as GitHub's runner does, step by step with bash.

Of expressions it knows what the action uses: inputs, outputs of steps, the runner's context,
comparisons, and the functions of a step's status.  Behaviour as in GitHub's documentation of
metadata syntax, expressions and workflow commands.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_CONTEXT = re.compile(r"'(?:[^']|'')*'|\b(inputs|steps|runner)((?:\.[\w-]+)+)")
_STATUS_FUNCTION = re.compile(r"\b(success|failure|always|cancelled)\(\)")
_COMMAND = re.compile(r"^::add-mask::(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class StepRun:
    """A step that has run, or was skipped.

    Attributes:
        name: the step's name.
        outcome: "success", "failure" or "skipped".
        output: what it printed.
    """

    name: str
    outcome: str
    output: str = ""


@dataclass
class ActionRun:
    """One call of an action, on a machine of its own.

    Args:
        folder: the folder with action.yml.
        workspace: the job's working directory.
        temp: the runner's temporary folder.
        environment: the job's environment variables.
        inputs: what the workflow sets below ``with``.
        cache: the folder used as the cache of GitHub Actions.

    Attributes:
        steps: what happened, in order.
        masked: the values that are replaced in logs.
        outputs: the action's outputs.
    """

    folder: Path
    workspace: Path
    temp: Path
    environment: dict[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    steps: list[StepRun] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    _outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    _failed: bool = False
    _to_cache: list[tuple[Path, Path]] = field(default_factory=list)

    def run(self) -> ActionRun:
        """Run the steps, and then what follows the job; return self."""
        action = yaml.safe_load((self.folder / "action.yml").read_text())
        unknown = self.inputs.keys() - action["inputs"].keys()
        assert not unknown, f"the action has no input {unknown}"
        defaults = {name: each.get("default", "") for name, each in action["inputs"].items()}
        self.inputs = {**defaults, **self.inputs}
        for step in action["runs"]["steps"]:
            self._run_step(step)
        for name, output in action["outputs"].items():
            self.outputs[name] = self._text(output["value"])
        if not self._failed:
            for path, kept in self._to_cache:
                # Without the file, the cache's action only warns.
                if path.exists():
                    shutil.copy(path, kept)
        return self

    @property
    def failed(self) -> bool:
        """True if a step has failed."""
        return self._failed

    def outcomes(self) -> dict[str, str]:
        """Return the outcome of each step by its name."""
        return {step.name: step.outcome for step in self.steps}

    def transcript(self) -> str:
        """Return all that was printed."""
        return "\n".join(f"== {step.name}: {step.outcome}\n{step.output}" for step in self.steps)

    def _run_step(self, step: Mapping[str, Any]) -> None:
        if not self._is_due(step.get("if", "")):
            self.steps.append(StepRun(step["name"], "skipped"))
            return
        if "uses" in step:
            self._restore(step)
            return
        assert step["shell"] == "bash", "composite actions need a shell for each step"
        self._run_script(step)

    def _run_script(self, step: Mapping[str, Any]) -> None:
        files = {name: self.temp / f"_{name}" for name in ("OUTPUT", "ENV", "PATH")}
        for file in files.values():
            file.write_text("")
        script = self.temp / "_script.sh"
        script.write_text(self._text(step["run"]))
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace,
            env={
                **self.environment,
                "RUNNER_TEMP": str(self.temp),
                "GITHUB_ACTION_PATH": str(self.folder),
                **{f"GITHUB_{name}": str(file) for name, file in files.items()},
                **{name: self._text(text) for name, text in step.get("env", {}).items()},
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._outputs[step.get("id", "")] = _pairs(files["OUTPUT"])
        self.environment.update(_pairs(files["ENV"]))
        for folder in files["PATH"].read_text().splitlines():
            self.environment["PATH"] = f"{folder}{os.pathsep}{self.environment['PATH']}"
        self.masked += _COMMAND.findall(done.stdout)
        outcome = "failure" if done.returncode else "success"
        self._failed |= outcome == "failure"
        self.steps.append(StepRun(step["name"], outcome, done.stdout))

    def _restore(self, step: Mapping[str, Any]) -> None:
        """Do what `actions/cache` does at its place; the file is stored at the end of the job."""
        assert step["uses"].startswith("actions/cache@"), step["uses"]
        assert self.cache, "this test has no cache"
        key, path = self._text(step["with"]["key"]), Path(self._text(step["with"]["path"]))
        assert "," not in key, "the cache of GitHub Actions refuses keys with a comma"
        kept = self.cache / re.sub(r"[^\w.+-]", "_", key)
        if kept.exists():
            shutil.copy(kept, path)
        else:
            self._to_cache.append((path, kept))
        self._outputs[step["id"]] = {"cache-hit": "true" if kept.exists() else ""}
        self.steps.append(StepRun(step["name"], "success", key))

    def _is_due(self, condition: str) -> bool:
        if not _STATUS_FUNCTION.search(condition):
            condition = f"success() && ({condition})" if condition else "success()"
        return bool(self._value(condition))

    def _text(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: str(self._value(found[1])), text)

    def _value(self, expression: str) -> object:
        functions = {"success": not self._failed, "failure": self._failed, "always": True}
        text = _STATUS_FUNCTION.sub(lambda found: str(functions[found[1]]), expression)
        text = _CONTEXT.sub(self._in_python, text)
        text = text.replace("&&", " and ").replace("||", " or ")
        return eval(text, {"__builtins__": {}})

    def _in_python(self, found: re.Match[str]) -> str:
        if found[1] is None:
            return repr(found[0][1:-1].replace("''", "'"))
        path = found[2][1:].split(".")
        if found[1] == "runner":
            return repr({"temp": str(self.temp), "os": "Linux", "arch": "X64"}[path[0]])
        if found[1] == "inputs":
            return repr(self.inputs[path[0]])
        step, _, name = path
        return repr(self._outputs.get(step, {}).get(name, ""))


def _pairs(file: Path) -> dict[str, str]:
    """Read NAME=VALUE lines, as a step writes them to GITHUB_OUTPUT and GITHUB_ENV."""
    lines = file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)
