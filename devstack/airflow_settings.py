"""The table ``[airflow]`` of devstack.toml: its settings, their types, and what they may be.

A setting is in :class:`AirflowSettings` once something implements it; the types of
the others are ready. A sentence about a mistake follows the value: "VALUE is ...".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from devstack.validation import Check, closest_match

LOCAL_EXECUTOR = "LocalExecutor"
KUBERNETES_EXECUTOR = "KubernetesExecutor"
CELERY_EXECUTOR = "CeleryExecutor"
CELERY_KUBERNETES_EXECUTOR = "CeleryKubernetesExecutor"
EXECUTORS = (LOCAL_EXECUTOR, KUBERNETES_EXECUTOR, CELERY_EXECUTOR, CELERY_KUBERNETES_EXECUTOR)
"""How Airflow runs tasks: in its scheduler, each in a pod of its own, in Celery workers, or in
either of the last two, by queue."""

ALONE: tuple[str, ...] = (CELERY_KUBERNETES_EXECUTOR,)
"""Executors that no other can be combined with."""

RABBITMQ = "rabbitmq"
MOST_WORKERS = 20
DEFAULT_WORKERS = 1
DEFAULT_CONCURRENCY = 4
"""Tasks at a time in one worker; on two cores, more only take longer each."""
FILES = ("requirements", "cfg")
"""Settings that name a file, relative to the folder of devstack.toml."""

_REPO = re.compile(r"(https?|ssh|git)://[^\s/]+/\S+\Z|[\w.-]+@[\w.-]+:\S+\Z")
_PASSWORD_IN_URL = re.compile(r"https?://[^/]*@|\w+://[^/@]*:[^/@]*@")
_BRANCH = re.compile(r"[^\s~^:?*\[\\/.-][^\s~^:?*\[\\]*\Z")
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")
_INSTALLATION = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?\Z")
_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?\Z")


def executor_names(value: str) -> tuple[str, ...]:
    """Return the executors of the setting ``executor``, a list with commas between names."""
    return tuple(name.strip() for name in value.split(","))


def executors(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the executors of ``settings``, the table ``[airflow]``; the first is the default."""
    return executor_names(settings.get("executor", LOCAL_EXECUTOR))


def has_celery(settings: Mapping[str, Any]) -> bool:
    """Return True if an executor of ``settings`` sends tasks to Celery workers."""
    return not {CELERY_EXECUTOR, CELERY_KUBERNETES_EXECUTOR}.isdisjoint(executors(settings))


def is_celery_default(settings: Mapping[str, Any]) -> bool:
    """Return True if Celery workers run the tasks that choose neither executor nor queue."""
    return executors(settings)[0] in (CELERY_EXECUTOR, CELERY_KUBERNETES_EXECUTOR)


def has_worker_pods(settings: Mapping[str, Any]) -> bool:
    """Return True if an executor of ``settings`` creates a pod for a task."""
    creating = {KUBERNETES_EXECUTOR, CELERY_KUBERNETES_EXECUTOR}
    return not creating.isdisjoint(executors(settings))


def broker(settings: Mapping[str, Any]) -> str:
    """Return the broker of ``settings``, if there are Celery workers."""
    return str(settings.get("broker", RABBITMQ)) if has_celery(settings) else ""


def required_broker(settings: Mapping[str, Any], name: str) -> str:
    """Return the settings that require the broker ``name``; empty if none does."""
    if broker(settings) != name:
        return ""
    reason = f'executor = "{settings["executor"]}"'
    return f'{reason} with broker = "{name}"' if "broker" in settings else reason


def worker_range(settings: Mapping[str, Any]) -> tuple[int, int]:
    """Return the least and the most Celery workers; equal if their number is fixed."""
    workers = settings.get("workers", DEFAULT_WORKERS)
    return (workers["min"], workers["max"]) if isinstance(workers, Mapping) else (workers, workers)


def is_scaled(settings: Mapping[str, Any]) -> bool:
    """Return True if the number of Celery workers follows the queue."""
    return has_celery(settings) and isinstance(settings.get("workers"), Mapping)


def concurrency(settings: Mapping[str, Any]) -> int:
    """Return the number of tasks at a time in one Celery worker."""
    return int(settings.get("worker_concurrency", DEFAULT_CONCURRENCY))


def most_slots(settings: Mapping[str, Any]) -> int:
    """Return the number of tasks at a time in as many Celery workers as there may ever be.

    Their present number may change at any time, and what depends on this must not change with it.
    """
    return MOST_WORKERS * concurrency(settings)


def _executor_problem(value: Any) -> str:
    known = ", ".join(EXECUTORS)
    names = executor_names(value) if isinstance(value, str) else ("",)
    for name in names:
        if name not in EXECUTORS:
            closest = closest_match(name, EXECUTORS)
            return f"is none of {known}" + (f" (did you mean {closest!r}?)" if closest else "")
        if name in ALONE and len(names) > 1:
            return f"combines {name} with another executor; it already is two of them"
    return "" if len(set(names)) == len(names) else "names an executor twice"


def workers_problem(value: Any) -> str:
    """Return what is wrong with the setting ``workers``, after the value; empty if it is valid."""
    problem = f"is neither a number from 0 to {MOST_WORKERS} nor {{min = 0, max = 4}}"
    if isinstance(value, Mapping):
        if set(value) != {"min", "max"} or not all(map(_is_count, value.values())):
            return problem
        return "" if value["min"] <= value["max"] >= 1 else "has a min above its max, or no worker"
    return "" if _is_count(value) else problem


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_WORKERS


def _url_problem(value: Any) -> str:
    fits = isinstance(value, str) and _URL.match(value)
    return "" if fits else "is not a URL such as https://host.example/airflow"


def _repo_problem(value: Any) -> str:
    if not isinstance(value, str) or not _REPO.match(value):
        return (
            "is none of https://HOST/PATH, http://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH"
        )
    if _PASSWORD_IN_URL.match(value):
        return "contains a login; put it into a Secret, and name that as `secret`"
    return ""


def _subfolder_problem(value: Any) -> str:
    fits = isinstance(value, str) and ".." not in value.split("/")
    return "" if fits else "is no folder of the repository"


def _branch_problem(value: Any) -> str:
    fits = isinstance(value, str) and _BRANCH.match(value) and ".." not in value
    return "" if fits else "is no name of a branch"


def _object_name_problem(value: Any) -> str:
    fits = isinstance(value, str) and _OBJECT_NAME.match(value)
    return "" if fits else "is no name of an object in Kubernetes"


def _only_of_first(settings: Any) -> str:
    """Return what is wrong with an installation's settings, after its name; empty if nothing is."""
    if not isinstance(settings, Mapping):
        return ""
    if settings.get("dags", "deploy") != "deploy":
        return 'another delivery than "deploy"'
    if settings.get("broker") == "redis":
        # It has no vhosts: workers of all installations would take tasks from the same queues.
        return 'the broker "redis"'
    # git-sync and the image with packages are the first one's.
    return next(
        (f"the setting {name!r}" for name in ("git", "requirements") if name in settings), ""
    )


def _installations_problem(value: Any) -> str:
    for name, settings in value.items():
        if not _INSTALLATION.match(name):
            return f"names {name!r}, which is not 1 to 20 lower-case letters, digits and dashes"
        if given := _only_of_first(settings):
            return f"gives {name!r} {given}, which only [airflow] can have"
    return ""


Executor = Annotated[str, Check(_executor_problem)]
Broker = Literal["rabbitmq", "redis"]
Workers = Annotated[Any, Check(workers_problem)]
WorkerConcurrency = Annotated[int, Meta(ge=1, le=64, description="is not a number from 1 to 64")]
Schedulers = Annotated[int, Meta(ge=1, le=4, description="is not a number from 1 to 4")]
Dags = Literal["deploy", "git", "image", "volume"]
BaseUrl = Annotated[str, Check(_url_problem)]
AirflowOption = Annotated[
    str | int | float | bool, Meta(description="is neither text, a number, true nor false")
]
Seconds = Annotated[
    float, Meta(ge=1, le=3600, description="is not a number of seconds from 1 to 3600")
]
Depth = Annotated[int, Meta(ge=0, description="is not a number of commits; 0 is all of them")]


class GitSettings(TypedDict, total=False):
    """The table ``[airflow.git]``: the repository of DAG files.

    Attributes:
        repo: its URL, for HTTPS or SSH.
        branch: the branch that is followed.
        subfolder: the folder of DAG files in it; empty for the whole repository.
        interval: seconds between two looks at the repository.
        depth: the number of commits that are fetched.
        secret: the Secret in Airflow's namespace with the credentials; empty for none.
    """

    repo: Annotated[str, Check(_repo_problem, may_be_secret=True)]
    branch: Annotated[str, Check(_branch_problem)]
    subfolder: Annotated[str, Check(_subfolder_problem)]
    interval: Seconds
    depth: Depth
    secret: Annotated[str, Check(_object_name_problem)]


class InstallationSettings(TypedDict, total=False):
    """The settings of one installation: ``[airflow]``, or ``[airflow.installations.NAME]``.

    Attributes:
        executor: one or several executors, with commas between them.
        broker: what passes tasks to Celery workers.
        workers: the number of Celery workers, or the least and the most of them.
        worker_concurrency: tasks at a time in each worker.
        schedulers: the number of schedulers.
        dags: how DAG files are delivered.
        dags_volume: the claim of the volume that they are on, for "volume"; by default one of
            the stack's own.
        requirements: a requirements file of packages that DAGs need; the stack keeps its text.
        git: the repository that they come from, for "git"; by default the stack's own.
        cfg: a complete airflow.cfg of the user; the stack keeps its text.
        base_url: where users reach the web server: scheme, host and path.
        config: additions to airflow.cfg by section.
    """

    # How tasks run.
    executor: Executor
    broker: Broker
    workers: Workers
    worker_concurrency: WorkerConcurrency
    schedulers: Schedulers

    # How DAG files are delivered.
    dags: Dags
    git: GitSettings
    dags_volume: Annotated[str, Check(_object_name_problem)]
    requirements: str

    # Airflow's own configuration.
    cfg: str
    base_url: BaseUrl
    config: dict[str, dict[str, AirflowOption]]


Installations = Annotated[dict[str, InstallationSettings], Check(_installations_problem)]


class AirflowSettings(InstallationSettings, total=False):
    """The table ``[airflow]``: the first installation, and the others by their names.

    Attributes:
        installations: further installations on the same cluster.
    """

    installations: Installations


def unused_settings(settings: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each setting that another one leaves without effect.

    Args:
        settings: the settings of one installation, valid.
    """
    way = settings.get("dags", "deploy")
    unused = {
        "git": way != "git" and f'dags = "{way}"',
        "dags_volume": way != "volume" and f'dags = "{way}"',
    }
    without_workers = not has_celery(settings) and f'executor = "{",".join(executors(settings))}"'
    unused |= dict.fromkeys(("broker", "workers", "worker_concurrency"), without_workers)
    return [
        f"`{name}` has no effect with {why}"
        for name, why in unused.items()
        if why and name in settings
    ]


def with_absolute_files(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings with the files that they name as absolute paths.

    Args:
        settings: the table ``[airflow]``, valid.
        folder: the folder of the file that they are from.
    """
    files = {name: str(folder / settings[name]) for name in FILES if settings.get(name)}
    others = settings.get("installations", {})
    nested = {name: with_absolute_files(each, folder) for name, each in others.items()}
    return {**settings, **files, **({"installations": nested} if others else {})}


def text_key(name: str) -> str:
    """Return the key under which the saved settings have the text of a file.

    Args:
        name: one of :data:`FILES`.
    """
    return f"{name}_text"


def with_texts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the text of each file that they name.

    `up` saves them, so that later commands do not need the files.

    Args:
        settings: the table ``[airflow]`` with absolute paths.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is not text; its name is the second argument.
    """
    texts = {}
    for name in FILES:
        if file := settings.get(name):
            try:
                texts[text_key(name)] = Path(file).read_text()
            except UnicodeDecodeError as error:
                raise ValueError(f"it is not text: {error.reason}", file) from error
    others = settings.get("installations", {})
    nested = {name: with_texts(each) for name, each in others.items()}
    return {**settings, **texts, **({"installations": nested} if others else {})}
