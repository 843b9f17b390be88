"""test/parallel and the tutorials: flows that are run as users run them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.external_suites.programs import Programs
from scripts.external_suites.results import FAILED, PASSED, SKIPPED, Result, last_lines

IN_PODS = ("--with", "kubernetes")


@dataclass(frozen=True)
class Tutorial:
    """A tutorial.

    Attributes:
        folder: its folder.
        flow: the file of its flow, relative to the folder of all.
        options: options of ``run``.
        notebook: its notebook, relative to its folder.
    """

    folder: str
    flow: str = ""
    options: tuple[str, ...] = ()
    notebook: str = ""


TUTORIALS = (
    Tutorial("00-helloworld", "00-helloworld/helloworld.py", IN_PODS),
    Tutorial("01-playlist", "01-playlist/playlist.py", IN_PODS, "playlist.ipynb"),
    Tutorial("02-statistics", "02-statistics/stats.py", (), "stats.ipynb"),
    Tutorial("03-playlist-redux", "03-playlist-redux/playlist.py", IN_PODS),
    Tutorial("05-hello-cloud", "05-hello-cloud/hello-cloud.py", (), "hello-cloud.ipynb"),
    Tutorial(
        "06-statistics-redux",
        "02-statistics/stats.py",
        (*IN_PODS, "--max-workers", "4"),
        "stats.ipynb",
    ),
    Tutorial("07-worldview", notebook="worldview.ipynb"),
)
"""In order: later ones read what earlier ones wrote. 02, 05 and 06 run as their README says."""

LEFT_OUT = (
    ("04-playlist-plus", "needs a conda channel"),
    ("08-autopilot", "needs Argo Workflows, and the name of a run in its notebook edited"),
)


def run_parallel(programs: Programs) -> Iterator[Result]:
    """test/parallel: gangs of 2 and 4 pods; PyTorch's flow needs that package."""
    folder = programs.copy("test/parallel")
    file = "parallel_test_flow.py"
    for size in ("2", "4"):
        name = f"{file} --num_parallel {size}"
        if programs.wants("parallel", name):
            options = (*IN_PODS, "--num_parallel", size)
            yield _run_flow(programs, "parallel", name, folder / file, options)
    name = "pytorch_parallel_test_flow.py"
    if programs.wants("parallel", name):
        yield Result("parallel", name, SKIPPED, "needs PyTorch in the image")


def run_tutorials(programs: Programs) -> Iterator[Result]:
    """The tutorials: their flows, and the cells of their notebooks as one program."""
    folder = programs.copy("metaflow/tutorials")
    for each in TUTORIALS:
        name = " ".join((each.folder, Path(each.flow).name, *each.options))
        if each.flow and programs.wants("tutorials", name):
            yield _run_flow(programs, "tutorials", name, folder / each.flow, each.options)
        name = f"{each.folder} {each.notebook}"
        if each.notebook and programs.wants("tutorials", name):
            yield _run_notebook(programs, name, folder / each.folder / each.notebook)
    for name, reason in LEFT_OUT:
        if programs.wants("tutorials", name):
            yield Result("tutorials", name, SKIPPED, reason)


def _run_flow(
    programs: Programs, suite: str, name: str, file: Path, options: tuple[str, ...]
) -> Result:
    argv = (programs.python, file.name, "--no-pylint", "run", *options)
    return _run(programs, suite, name, argv, file.parent)


def _run_notebook(programs: Programs, name: str, file: Path) -> Result:
    program = file.with_suffix(".notebook.py")
    program.write_text(build_program(file.read_text()))
    argv = ("env", "MPLBACKEND=Agg", programs.python, program.name)
    return _run(programs, "tutorials", name, argv, file.parent)


def build_program(notebook: str) -> str:
    """Return the cells with code of a notebook (its JSON) as one program."""
    cells = json.loads(notebook)["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n\n".join(code) + "\n"


def _run(programs: Programs, suite: str, name: str, argv: tuple[str, ...], folder: Path) -> Result:
    done = programs.run(f"{suite}-{name.replace(' ', '_')}", *argv, cwd=folder)
    if done.status:
        return Result(suite, name, FAILED, last_lines(done.output), done.seconds)
    return Result(suite, name, PASSED, seconds=done.seconds)
