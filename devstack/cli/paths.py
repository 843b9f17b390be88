"""``devstack paths``."""

from __future__ import annotations

from pathlib import Path

import click

from devstack.cli.options import SuggestingChoice, json_option, pass_output
from devstack.cli.output import Output
from devstack.paths import cache_home, config_home, project_file, state_home

ABOUT = {
    "tiltfile": 'for `tilt up --file "$(devstack paths tiltfile)"`',
    "compose": "for `docker compose`, with .env of this folder: "
    '--project-directory . --file "$(devstack paths compose)"',
    "manifests": "one folder with a kustomization.yaml for each service",
    "samples": "the sample flows",
    "documents": "the documentation of this version",
    "config": "settings for all stacks: config.toml",
    "state": "one folder for each stack: credentials, kubeconfig, logs",
    "cache": "built images; safe to delete",
}


@click.command("paths", epilog='Example: tilt up --file "$(devstack paths tiltfile)"')
@click.argument("name", required=False, metavar="[NAME]", type=SuggestingChoice(list(ABOUT)))
@json_option
@pass_output
def command(output: Output, name: str | None) -> None:
    """Print the paths of devstack's own files and folders, or one of them.

    NAME is tiltfile, compose, manifests, samples, documents, config, state or cache.  The first
    five are part of the package; copy what you want to change.
    """
    found = find_paths()
    output.data(paths={each: str(path) for each, path in found.items()})
    if name:
        output.text(str(found[name]))
    else:
        for each, path in found.items():
            output.text(f"{each:<9}  {path}\n           {ABOUT[each]}")
    output.finish()


def find_paths() -> dict[str, Path]:
    """Return the absolute paths by name."""
    found = {
        "tiltfile": project_file("Tiltfile"),
        "compose": project_file("compose.yaml"),
        "manifests": project_file("k8s"),
        "samples": Path(__file__).parent.parent / "samples",
        "documents": project_file("docs"),
        "config": config_home(),
        "state": state_home(),
        "cache": cache_home(),
    }
    return {name: path.absolute() for name, path in found.items()}
