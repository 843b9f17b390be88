"""The commands that `devstack argo` and `devstack kubeflow` share."""
