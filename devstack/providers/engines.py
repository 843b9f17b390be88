"""The registry of container engines: from the value of ``--engine`` to what runs its commands."""

from __future__ import annotations

from devstack.docker.engine import AUTO, DOCKER, PODMAN, choose_engine
from devstack.docker.podman import with_engine
from devstack.errors import DevstackError, ExitStatus
from devstack.process import Runner
from devstack.validation import suggest

ENGINES = (AUTO, DOCKER.name, PODMAN.name)
"""The values of ``--engine``."""

OF_EARLIER_RELEASES = DOCKER.name
"""The engine of stacks that have not recorded theirs."""

HELP = (
    f"The container engine of the nodes: {DOCKER.name} or {PODMAN.name}; {AUTO} is {DOCKER.title}, "
    f"or {PODMAN.title} if only that is there."
)


def require_known_engine(name: str) -> None:
    """Raise ``ENGINE_UNKNOWN``, with the closest match, unless ``name`` is one of ENGINES."""
    if name not in ENGINES:
        raise DevstackError(
            f"cannot use engine {name!r}",
            cause=f"there is no such engine{suggest(name, ENGINES)}",
            remedy=f"choose from {', '.join(ENGINES)}",
            code="ENGINE_UNKNOWN",
            exit_status=ExitStatus.USAGE,
        )


def select_engine(name: str, runner: Runner, existing: str | None = None) -> tuple[str, Runner]:
    """Return the name of the engine that ``name`` means here, and a runner of commands.

    Args:
        name: the setting.
        runner: runs programs.
        existing: the engine of an existing stack, whose nodes no other engine finds: its commands
            are run by this one, whatever the setting is. "auto" means this one as well.

    Raises:
        DevstackError: ``ENGINE_UNKNOWN``.
    """
    require_known_engine(name)
    wanted = existing if existing and name == AUTO else name
    engine = choose_engine(wanted, runner)
    used = choose_engine(existing, runner) if existing else engine
    return engine.name, with_engine(runner, used)
