"""From Kubeflow's intermediate representation to Argo: pure functions."""
