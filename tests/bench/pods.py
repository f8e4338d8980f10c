"""Runs on the host: makes a pod and says when it is Ready, in the way of JupyterHub: by a process that is there already.

`GET /NAME?image=IMAGE` is answered when the pod of that name is Ready, with nothing, or when it will not be, with what is known.
The pod has no token of a service account, as KubeSpawner's have none: the kubelet would look for its volume first, which it
does three times a second.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

TLS = "/var/lib/rancher/k3s/server/tls"
PODS = "/api/v1/namespaces/default/pods"
PORT = 47010  # start_pod of node.sh asks there
READY_WITHIN_S = 120


def api() -> http.client.HTTPSConnection:
    """One connection to the node's API server, as its administrator."""
    context = ssl.create_default_context(cafile=f"{TLS}/server-ca.crt")
    context.load_cert_chain(f"{TLS}/client-admin.crt", f"{TLS}/client-admin.key")
    return http.client.HTTPSConnection("127.0.0.1", 6443, context=context, timeout=READY_WITHIN_S)


def manifest(name: str, image: str) -> dict[str, Any]:
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "3600"],
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def start(name: str, image: str) -> str:
    """Make the pod and watch it until it is Ready: an empty text, or what is wrong."""
    deadline = time.monotonic() + READY_WITHIN_S
    making = api()
    making.request(
        "POST", PODS, json.dumps(manifest(name, image)), headers={"Content-Type": "application/json"}
    )
    answer = making.getresponse()
    text = answer.read()
    if answer.status != 201:
        return text.decode()
    pod = json.loads(text)
    watching = api()
    since = pod["metadata"]["resourceVersion"]
    field = quote(f"metadata.name={name}")
    watching.request(
        "GET",
        f"{PODS}?watch=1&fieldSelector={field}&resourceVersion={since}&timeoutSeconds={READY_WITHIN_S}",
    )
    for line in watching.getresponse():
        event = json.loads(line)
        if event.get("type") not in ("ADDED", "MODIFIED"):
            return str(line)
        pod = event["object"]
        if ready(pod):
            return ""
        if time.monotonic() > deadline:
            break
    return json.dumps(pod.get("status"))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        try:
            fault = start(asked.path.strip("/"), parse_qs(asked.query)["image"][0])
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            fault = repr(error)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(fault.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
