"""The interface of a deployer: a workflow engine that flows are deployed to.

What an engine cannot run (``unsupported.py`` in its package) is found by
``compile``, inside Metaflow's process, because only Metaflow knows the flow's
graph and decorators. Nothing is uploaded in that case.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from devstack.flows.timing import Timing, covered
from devstack.samples.checks.result import CheckResult

Note = Callable[[str], None]
"""Shows what a command is doing."""


@dataclass(frozen=True)
class DeployOptions:
    """What to deploy, and how.

    Attributes:
        source: the flow.
        name: name of the deployment; the flow's name if empty.
        project: the @project that the flow must have; any if empty.
        branch: branch of the @project; the user's own if empty.
        production: True for the production branch of the @project.
        schedule: a cron expression, ``hourly``, ``daily``, ``weekly`` or ``none``; the flow's
            @schedule if empty.
        workflow_timeout: maximum duration of a run in seconds; unlimited if None.
        paused: True to leave the deployment paused.
        create_options: further options of Metaflow's `create` command for this engine.
        metaflow_options: options of Metaflow itself, which precede the engine's name.
        parameters: values by name, as typed by the user, that the next run gets; checked with
            the flow.
    """

    source: FlowSource
    name: str = ""
    project: str = ""
    branch: str = ""
    production: bool = False
    schedule: str = ""
    workflow_timeout: int | None = None
    paused: bool = False
    create_options: Sequence[str] = ()
    metaflow_options: Sequence[str] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """A deployed flow.

    Attributes:
        name: its name in the engine.
        flow: the flow's class.
        schedule: a cron expression or a preset; empty if it has no schedule.
        paused: True if it is paused.
        url: its page in the engine's UI.
        deliver_seconds: time from delivery until the engine had processed it.
        compile_seconds: time that Metaflow took.
        details: further fields of the JSON envelope.
    """

    name: str
    flow: str
    schedule: str
    paused: bool
    url: str
    deliver_seconds: float
    compile_seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


class Run(Protocol):
    """A run of a deployment."""

    @property
    def name(self) -> str:
        """The deployment."""
        ...

    @property
    def run_id(self) -> str:
        """The engine's id."""
        ...

    @property
    def metaflow_id(self) -> str:
        """Metaflow's id."""
        ...

    @property
    def state(self) -> str:
        """The engine's state."""
        ...

    @property
    def finished(self) -> bool:
        """True if its state is final."""
        ...

    @property
    def kind(self) -> str:
        """What started it: ``scheduled`` for its schedule, ``event`` for an event."""
        ...

    @property
    def began(self) -> float | None:
        """When it started, in seconds since the epoch; None before that."""
        ...

    @property
    def seconds(self) -> float | None:
        """Duration in seconds; None until it has ended."""
        ...


class Task(Protocol):
    """A task of a run: a step, or one item of a foreach."""

    @property
    def name(self) -> str:
        """The step, with the item's index in a foreach: ``work[2]``."""
        ...

    @property
    def state(self) -> str:
        """The engine's state."""
        ...

    @property
    def queued(self) -> float | None:
        """When it was queued, in seconds since the epoch; None before that."""
        ...

    @property
    def began(self) -> float | None:
        """When it started, in seconds since the epoch; None before that."""
        ...

    @property
    def ended(self) -> float | None:
        """When it ended, in seconds since the epoch; None before that."""
        ...


RunT = TypeVar("RunT", bound=Run)
CompiledT = TypeVar("CompiledT")


@dataclass(frozen=True)
class RunResult(Generic[RunT]):
    """A finished run.

    Attributes:
        run: the run.
        tasks: its tasks, sorted by start.
        ok: True if the run succeeded.
    """

    run: RunT
    tasks: Sequence[Task]
    ok: bool

    @property
    def timing(self) -> Timing:
        """Seconds with a running task, seconds with only waiting tasks, and the engine's rest."""
        running = covered((task.began, task.ended) for task in self.tasks)
        active = covered((task.queued or task.began, task.ended) for task in self.tasks)
        return Timing(self.run.seconds or 0.0, running, max(0.0, active - running))


@dataclass(frozen=True)
class TaskLog:
    """The log of a task.

    Attributes:
        task: the task.
        text: the complete log.
        lines: the lines that the step itself printed; all if there are none.
    """

    task: Task
    text: str
    lines: Sequence[str]


class Deployer(Protocol[CompiledT, RunT]):
    """Deploys flows of one stack to one engine."""

    @property
    def engine(self) -> str:
        """The engine, as in ``devstack ENGINE deploy``."""
        ...

    def compile(self, options: DeployOptions, env: FlowEnvironment) -> CompiledT:
        """Compile a flow for the engine.

        Raises:
            DevstackError: ``FLOW_UNSUPPORTED`` with everything that the engine
                cannot run, ``PARAMETER_WRONG``, ``FLOW_NOT_STARTED`` or
                ``COMPILE_FAILED``.
        """
        ...

    def deliver(self, compiled: CompiledT, note: Note) -> Deployment:
        """Hand a compiled flow to the engine; return when it has processed it."""
        ...

    def resolve(self, name: str) -> str:
        """Return the deployment with this name: its own, or the flow's if unique."""
        ...

    def set_paused(self, name: str, paused: bool) -> None:
        """Pause or unpause a deployment."""
        ...

    def trigger(self, name: str, parameters: Mapping[str, str]) -> RunT:
        """Start a run of a deployment."""
        ...

    def runs(self, name: str = "", limit: int = 25) -> list[RunT]:
        """Return the latest runs of a deployment, or of all; the latest first."""
        ...

    def find_run(self, name: str) -> RunT:
        """Return a run by the engine's id, Metaflow's id, or the latest run of a deployment."""
        ...

    def follow(self, run: RunT, note: Note, timeout: float | None = None) -> RunResult[RunT]:
        """Wait until a run is finished; ``timeout`` in seconds, unlimited if None."""
        ...

    def wait_scheduled_run(self, name: str, known: Collection[str], note: Note) -> RunT:
        """Wait until the schedule starts a run whose id is not in ``known``, and return it."""
        ...

    def wait_event_run(self, name: str, known: Collection[str], note: Note) -> RunT:
        """Wait until an event starts a run whose id is not in ``known``, and return it."""
        ...

    def backfill(
        self,
        name: str,
        dates: tuple[datetime, datetime],
        date_parameter: str,
        note: Note,
        timeout: float | None = None,
    ) -> list[RunResult[RunT]]:
        """Run a deployment again for each date of its schedule, and wait until all have ended.

        Args:
            name: the deployment.
            dates: the first and the last date.
            date_parameter: the parameter that gets the date.
            note: shows the progress.
            timeout: maximum seconds to wait; unlimited if None.

        Returns:
            The runs that succeeded, in the order of their dates.
        """
        ...

    def stop(self, run: RunT) -> None:
        """Stop a run."""
        ...

    def failure(self, result: RunResult[RunT]) -> DevstackError:
        """Return the error that explains why a run did not succeed."""
        ...

    def check_run(self, result: RunResult[RunT]) -> list[CheckResult]:
        """Check in the cluster what Metaflow's client does not know of a finished run."""
        ...

    def logs(self, run: RunT, task: str = "", attempt: int = 0) -> Iterator[TaskLog]:
        """Yield the logs of a run's tasks.

        Args:
            run: the run.
            task: a step, or ``STEP[INDEX]``; all tasks if empty.
            attempt: number of the attempt, from 1; the last one if 0.
        """
        ...

    def delete(self, name: str, *, force: bool) -> None:
        """Delete a deployment with its runs; ``force`` stops active runs first."""
        ...

    def url(self, name: str = "") -> str:
        """Return the address of a deployment's page in the engine's UI, or of its home page."""
        ...
