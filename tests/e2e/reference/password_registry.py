"""A registry that asks for a password, beside the kubelet of one node.

It serves one image: layers that the node's containerd has already, with another configuration.
With the same one, Kubernetes would take the image of all tasks for one that needs the password.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from typing import Any

PORT = 5999
HOST = f"localhost:{PORT}"
NAME = "password-registry"
USER, PASSWORD = "reader", "a:b c"
_BLOBS = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"

_PROGRAM = """
import hashlib, json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OWN = {}

def read(digest):
    return OWN.get(digest) or Path("/blobs", digest.partition(":")[2]).read_bytes()

def add(document):
    content = json.dumps(document).encode()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    OWN[digest] = content
    return {"digest": digest, "size": len(content)}

manifest = json.loads(read(os.environ["DIGEST"]))
while "manifests" in manifest:
    manifest = json.loads(read(manifest["manifests"][0]["digest"]))
config = json.loads(read(manifest["config"]["digest"]))
config["config"]["Labels"] = {"source": "a registry with a password"}
manifest["config"].update(add(config))
TAGGED = add(manifest)["digest"]
KIND = manifest.get("mediaType", "application/vnd.oci.image.manifest.v1+json")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") != os.environ["EXPECTED"]:
            return self.answer(401, b"{}", ("WWW-Authenticate", 'Basic realm="test"'))
        *_, kind, name = self.path.split("/")
        digest = name if name.startswith("sha256:") else TAGGED
        if kind == "manifests":
            print("SERVED", self.path, flush=True)
        found = KIND if kind == "manifests" else "application/octet-stream"
        self.answer(200, read(digest), ("Docker-Content-Digest", digest), ("Content-Type", found))

    do_HEAD = do_GET

    def answer(self, status, content, *headers):
        self.send_response(status)
        for header in (*headers, ("Content-Length", str(len(content)))):
            self.send_header(*header)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def registry_pod(node: str, namespace: str, image: str) -> dict[str, Any]:
    """Return the pod of the registry, which serves a copy of ``image`` under any name and tag."""
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    environment = {"DIGEST": _digest(node, image), "EXPECTED": f"Basic {basic}", "PORT": str(PORT)}
    container = {
        "name": NAME,
        "image": image,
        "command": ["python3", "-c", _PROGRAM],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "blobs", "mountPath": "/blobs", "readOnly": True}],
        "readinessProbe": {
            "exec": {
                "command": [
                    "python3",
                    "-c",
                    f"import socket as s; s.create_connection(('127.0.0.1', {PORT}))",
                ]
            },
            "periodSeconds": 1,
            "timeoutSeconds": 10,
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": "blobs", "hostPath": {"path": _BLOBS, "type": "Directory"}}],
        },
    }


def login_secret(name: str, namespace: str) -> dict[str, Any]:
    """Return the Secret with which the kubelet pulls from the registry."""
    settings = {"auths": {HOST: {"username": USER, "password": PASSWORD}}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": json.dumps(settings)},
    }


def trust(node: str) -> None:
    """Tell a node's containerd that the registry has no TLS."""
    folder = f"/etc/containerd/certs.d/{HOST}"
    _execute(node, "mkdir", "-p", folder)
    settings = f'[host."http://{HOST}"]'
    _execute(node, "sh", "-c", f"echo '{settings}' > {folder}/hosts.toml")


def tag(node: str, image: str, reference: str) -> None:
    """Give an image another name on a node."""
    names = [f"docker.io/{image}", reference]
    _execute(node, "ctr", "-n", "k8s.io", "images", "tag", "--force", *names)


def _digest(node: str, image: str) -> str:
    listed = _execute(node, "ctr", "-n", "k8s.io", "images", "ls", f"name==docker.io/{image}")
    found: list[str] = re.findall(r"sha256:[0-9a-f]{64}", listed)
    return found[0]


def _execute(node: str, *argv: str) -> str:
    argv = ("docker", "exec", node, *argv)
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
