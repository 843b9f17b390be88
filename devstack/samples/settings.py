"""Settings: plain variables, and secrets that nobody sees.

``@environment`` sets variables that may be read by anyone.  What must stay
secret lives in a Kubernetes Secret: ``secrets=[...]`` turns each of its keys
into a variable of the pod.  The value never passes through your machine, the
flow's code or the datastore.

The stack brings a Secret called "devstack-sample" for this lesson: a random
token, and the token's SHA-256, so that the step can tell that it got the right
one without showing it.

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
        """Look at the variables; keep of the token only what gives nothing away."""
        token = os.environ["SAMPLE_TOKEN"]
        self.mode = os.environ["SAMPLE_MODE"]
        self.level = int(os.environ["SAMPLE_LEVEL"])
        self.token_length = len(token)
        self.token_sha256 = hashlib.sha256(token.encode()).hexdigest()
        self.expected_sha256 = os.environ["SAMPLE_TOKEN_SHA256"]
        self.next(self.end)

    @step
    def end(self):
        """The secret stays in the pod."""
        self.token_here = "SAMPLE_TOKEN" in os.environ


if __name__ == "__main__":
    SettingsFlow()
