"""The image of a stack's Airflow with requirements and DAG files, built upon the common one."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

from devstack.docker.addition import ImageAddition
from devstack.docker.client import KEY_LABEL
from devstack.docker.podman_client import engine_client
from devstack.errors import DevstackError, ExitStatus
from devstack.images.airflow_requirements import AirflowRequirements
from devstack.images.archive import Layer
from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.catalogue import IMAGES
from devstack.images.dag_files import REQUIREMENTS, dag_files
from devstack.images.recipes.airflow import ENTRYPOINT, ENVIRONMENT, USER
from devstack.process import Runner
from devstack.progress import Progress, step

REPOSITORY = "devstack/airflow-dags"
DAGS = "opt/dags"
"""The folder of DAG files in the image, without the leading slash."""

_PACKAGES = "opt/requirements"
_BROKEN = "SYNTAX ERROR "
# The image's own Python knows its syntax. Pods cannot keep what Python compiles.
_SCRIPT = f"""\
if [ -d /{_PACKAGES} ]; then
  python3 -m compileall -q -j 0 -o 0 --invalidation-mode unchecked-hash /{_PACKAGES} \\
    >/dev/null || true
fi
if [ -d /{DAGS} ]; then python3 - <<'CHECK'
import pathlib, sys
broken = False
for path in sorted(pathlib.Path("/{DAGS}").rglob("*.py")):
    try:
        compile(path.read_bytes(), str(path.relative_to("/{DAGS}")), "exec")
    except (SyntaxError, ValueError) as error:
        broken = True
        name, line = path.relative_to("/{DAGS}"), getattr(error, "lineno", None) or 1
        print("{_BROKEN}" + f"{{name}}:{{line}}: {{getattr(error, 'msg', error)}}", file=sys.stderr)
sys.exit(1 if broken else 0)
CHECK
fi
"""


@dataclass(frozen=True)
class AirflowContents:
    """What a stack's Airflow has beside the common image.

    Attributes:
        requirements: lines of a requirements file; empty for none.
        dags: a tar archive with the DAG files below :data:`DAGS`; None for none.
    """

    requirements: str = ""
    dags: Path | None = None

    @property
    def reference(self) -> str:
        """The image's name, which tells its contents; empty if the common image has them all."""
        if not self.requirements.strip() and self.dags is None:
            return ""
        inputs = (IMAGES["airflow"].reference, self._packages.key, Path(__file__))
        content = self.dags.read_bytes().hex() if self.dags else ""
        return f"{REPOSITORY}:{digest(*inputs, content)}"

    @property
    def _packages(self) -> AirflowRequirements:
        return AirflowRequirements(self.requirements)

    def build(self, runner: Runner, progress: Progress, cache: ArtifactCache) -> None:
        """Build the image, unless the engine has it.

        Raises:
            DevstackError: ``REQUIREMENT_CONFLICT``, ``REQUIREMENT_FAILED`` or ``DAG_SYNTAX``.
        """
        if self.reference in engine_client(runner).inspect_images([self.reference]):
            return
        # Another stack's build would use the same folders and the same container.
        with cache.lock(progress):
            self._build(runner, progress, cache)

    def _build(self, runner: Runner, progress: Progress, cache: ArtifactCache) -> None:
        wanted = self.requirements.strip()
        packages = self._packages.install(runner, progress, cache) if wanted else None
        with step(progress, "Build the image of Airflow"), cache.scratch("airflow-dags") as scratch:
            with Layer(scratch / "files.tar") as layer:
                if packages:
                    layer.tree(packages, _PACKAGES)
                if self.dags:
                    layer.archive(self.dags)
            self._commit(runner, layer.path, f"devstack-airflow-builder-{cache.owner}")

    def _commit(self, runner: Runner, files: Path, container: str) -> None:
        settings = [
            f"ENV PYTHONPATH={json.dumps(ENVIRONMENT['PYTHONPATH'] + f':/{_PACKAGES}')}",
            f"USER {USER}:{USER}",
            f"ENTRYPOINT {json.dumps(ENTRYPOINT)}",
            "CMD []",
            f"LABEL {KEY_LABEL}={self.reference.rpartition(':')[2]}",
        ]
        addition = ImageAddition(runner, container)
        try:
            addition.build(IMAGES["airflow"].reference, self.reference, files, _SCRIPT, settings)
        except DevstackError as error:
            broken = _syntax_errors(f"{error.cause}\n{error.output or ''}")
            raise (_not_python(broken) if broken else error) from error


def pack_dags(folder: Path, archive: Path) -> None:
    """Write the files of a folder into an archive for :class:`AirflowContents`.

    Raises:
        DevstackError: ``DAG_FOLDER_INVALID``.
    """
    files = dag_files(folder)
    with Layer(archive) as layer:
        for name, path in files.items():
            layer.file(f"{DAGS}/{name}", path)


def packed_requirements(archive: Path) -> str:
    """Return the requirements among the files of an archive; empty if there are none."""
    with tarfile.open(archive) as tar:
        try:
            content = tar.extractfile(f"{DAGS}/{REQUIREMENTS}")
        except KeyError:
            return ""
        return content.read().decode() if content else ""


def _syntax_errors(output: str) -> list[str]:
    return [line.partition(_BROKEN)[2].strip() for line in output.splitlines() if _BROKEN in line]


def _not_python(errors: list[str]) -> DevstackError:
    return DevstackError(
        "cannot build Airflow's image: a DAG file is not valid Python",
        cause="; ".join(dict.fromkeys(errors)),
        remedy="correct it and build the image again; nothing was restarted",
        code="DAG_SYNTAX",
        exit_status=ExitStatus.USAGE,
    )


def remove_image(runner: Runner, reference: str) -> None:
    """Remove an image that the stack's Airflow no longer runs."""
    engine_client(runner).remove_image(reference)
