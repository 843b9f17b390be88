"""The Kubernetes API: a client, kubeconfigs, manifests, waits and port-forwards."""
