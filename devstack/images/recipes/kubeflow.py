"""The image of the pipelines API."""

from __future__ import annotations

from devstack.images.recipes.python_service import PythonServiceImage


class KubeflowImage(PythonServiceImage):
    """The pipelines API; a :class:`Recipe`."""

    def __init__(self) -> None:
        super().__init__("kubeflow", "kubeflow_pipelines")
