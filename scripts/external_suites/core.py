"""test/core in its context of Kubernetes: each test on the smallest graph that it accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.external_suites.programs import Programs
from scripts.external_suites.results import FAILED, PASSED, SKIPPED, Result, first_lines, last_lines

CONTEXT = "python3-k8s"
"""The context whose steps run in Kubernetes."""

ADDRESSES = re.compile(r"METAFLOW_(DEFAULT|SERVICE|DATASTORE|KUBERNETES)_|AWS_")
"""Variables of that context with addresses and keys of another stack; the rest is its own."""

_LIST = """
import json, run_tests
from metaflow_test.formatter import FlowFormatter
gangs = lambda graph: any("num_parallel" in node for node in graph["graph"].values())
graphs = sorted(run_tests.iter_graphs(), key=lambda graph: len(graph["graph"]))
for test in sorted(run_tests.iter_tests(), key=lambda test: test.PRIORITY):
    names = [g["name"] for g in graphs if not gangs(g) and FlowFormatter(g, test).valid]
    print("TEST", json.dumps([test.__class__.__name__, names]))
"""
"""Prints each test and the graphs that it accepts. The context leaves out those with gangs."""

_LINE = r"### test '(\S+)' graph '(\S+)' in context '\S+': {} \[using (\w+) executor\] ###"
_OWN_ERROR = re.compile(r'^  File ".*/run_tests[.]py", line .*\n(?: .*\n)*(\w+: .*)\n*\Z', re.M)
"""A traceback of run_tests.py at the end of its output: no flow ran."""


def run_core(programs: Programs) -> Iterator[Result]:
    """Run each test with the executors of the context: the command line, and Runner."""
    folder = programs.copy("test/core")
    left_out = use_the_stack(folder / "contexts.json")
    listed = programs.run("core-list", programs.python, "-c", _LIST, cwd=folder)
    found = [json.loads(each) for each in re.findall(r"^TEST (.*)$", listed.output, re.M)]
    programs.forget("core", "all")
    if not found:
        yield Result("core", "all", FAILED, last_lines(listed.output))
    chosen = programs.choose([test for test, _ in found])
    for test, graphs in found:
        if test in chosen and programs.wants("core", test):
            yield from _run_test(programs, folder, test, [] if test in left_out else graphs)


def _run_test(programs: Programs, folder: Path, test: str, graphs: list[str]) -> Iterator[Result]:
    programs.forget("core", test)
    if not graphs:
        yield Result("core", test, SKIPPED, f"the context {CONTEXT} leaves it out")
        return
    argv = [programs.python, "run_tests.py", "--inherit-env", "--contexts", CONTEXT]
    argv += ["--tests", test, "--graphs", graphs[0]]
    # Two executors, each of which may also resume its run.
    done = programs.run(f"core-{test}", *argv, cwd=folder, timeout=4 * programs.timeout)
    yield from read_output(test, done.status, done.output, done.seconds)


def read_output(test: str, status: int, output: str, seconds: float) -> Iterator[Result]:
    """Yield what run_tests.py reports of each graph and executor."""
    started = re.findall(_LINE.format("running"), output)
    passed = re.findall(_LINE.format("success"), output)
    failed = re.findall(_LINE.format("failed"), output)
    own_error = _OWN_ERROR.search(output)
    for each in started:
        name, took = "{} {} ({})".format(*each), seconds / len(started)
        if each in passed:
            yield Result("core", name, PASSED, seconds=took)
        elif each not in failed and own_error:
            yield Result("core", name, SKIPPED, f"run_tests.py itself fails: {own_error[1]}")
        else:
            yield Result("core", name, FAILED, _reason(output), took)
    if not started:
        yield Result("core", test, FAILED, f"status {status}: {last_lines(output)}", seconds)


def use_the_stack(file: Path) -> set[str]:
    """Leave the addresses of another stack out of the contexts; return tests not meant for ours.

    Args:
        file: ``contexts.json`` in a copy of the suite.
    """
    table = json.loads(file.read_text())
    left_out = set()
    for context in table["contexts"]:
        kept = {k: v for k, v in context.get("env", {}).items() if not ADDRESSES.match(k)}
        context["env"] = kept
        if context["name"] == CONTEXT:
            left_out = set(context.get("disabled_tests", []))
    file.write_text(json.dumps(table))
    return left_out


def _reason(output: str) -> str:
    """Return the last complaint of the suite, and the errors of the flow that it is about."""
    output = _OWN_ERROR.sub("", output)
    said = re.findall(r"### .*: (flow failed|checker .* failed|The flow .*) ###", output)
    errors = re.findall(r"^.*(?:Error|Exception|error)\b.*$", output, re.M)
    return first_lines(" / ".join([*said[-1:], *errors[-2:]])) or last_lines(output)
