"""Images of this machine that a flow needs on the nodes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devstack.cli.output import Output
    from devstack.flows.environment import FlowEnvironment
    from devstack.flows.source import FlowSource
    from devstack.stack import Stack


def ensure_flow_images(
    output: Output, stack: Stack, source: FlowSource, arguments: Sequence[str]
) -> None:
    """Put the images that a flow names on the nodes, if this machine has them.

    Args:
        output: displays what is added.
        stack: a stack that is up.
        source: the flow.
        arguments: what the user typed after ``--``.
    """
    from devstack.flows.named_images import find_image_names
    from devstack.lifecycle.added_images import ensure_current_images

    names = find_image_names(source, arguments, os.environ)
    stack.progress = output.progress()
    added = ensure_current_images(stack, names)
    if added:
        output.data(images_added=[image.reference for image in added])


def with_pull_policy(stack: Stack, env: FlowEnvironment) -> FlowEnvironment:
    """Return the environment for flows with added images of the tag `latest`.

    Kubernetes pulls `latest` for every pod by default, and no registry has the image. Metaflow
    compiles no DAG with this setting, so it is only for runs.
    """
    from devstack.lifecycle.added_images import has_latest

    if not has_latest(stack):
        return env
    policy = {"METAFLOW_KUBERNETES_IMAGE_PULL_POLICY": "IfNotPresent"}
    return replace(env, environment={**env.environment, **policy})
