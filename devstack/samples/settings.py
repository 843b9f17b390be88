"""Settings: plain variables, and a secret.

``@environment`` sets variables that everyone may read.  Confidential values are in a
Kubernetes Secret: ``secrets=[...]`` sets each of its keys as a variable of the pod.
The value never passes through your machine, the flow's code or the datastore.

The stack has a Secret "devstack-sample" for this flow: a random token, and the token's
SHA-256, so that the step can verify the token without revealing it.

Try:  devstack run settings
"""

import hashlib
import os

from metaflow import FlowSpec, environment, kubernetes, step


class SettingsFlow(FlowSpec):
    """Reads its settings, and a secret, from the environment."""

    @environment(vars={"SAMPLE_MODE": "lesson", "SAMPLE_LEVEL": "3"})
    @kubernetes(cpu=0.2, memory=256, disk=512, secrets=["devstack-sample"])
    @step
    def start(self):
        """Read the variables; store only the length and the hash of the token."""
        token = os.environ["SAMPLE_TOKEN"]
        self.mode = os.environ["SAMPLE_MODE"]
        self.level = int(os.environ["SAMPLE_LEVEL"])
        self.token_length = len(token)
        self.token_sha256 = hashlib.sha256(token.encode()).hexdigest()
        self.expected_sha256 = os.environ["SAMPLE_TOKEN_SHA256"]
        self.next(self.end)

    @step
    def end(self):
        """Check that the token is not on this machine."""
        self.token_here = "SAMPLE_TOKEN" in os.environ


if __name__ == "__main__":
    SettingsFlow()
