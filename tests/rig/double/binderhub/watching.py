"""Creating, watching and reading a build pod, with the weaknesses of the real one.

Requests for one commit share a pod by its name. The log is read only once the pod was *seen* running, and a pod that
has ended is deleted at once: a builder that ends before both has happened loses its log, and its users see a bare
`failed`. A failed build never ends the watch's request by itself; the client has to leave.
"""

import json
from typing import Any as Anything

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from tornado.log import app_log
from traitlets import Any, HasTraits, default
from urllib3.exceptions import ReadTimeoutError

from binderhub.progress import BuildStatus, Kind

LONGEST_BUILD_S = 4 * 3600  # then the cleaner has long been there
REQUEST_TIMEOUT_S = (3, 30)  # connect, read
OF_PHASE = {
    "Pending": BuildStatus.PENDING,
    "Running": BuildStatus.RUNNING,
    "Failed": BuildStatus.FAILED,
    "Unknown": BuildStatus.UNKNOWN,
}  # no word for Succeeded: what counts is the deletion that follows


def load_kubernetes() -> Anything:
    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    return client.CoreV1Api()


class PodWatching(HasTraits):
    """The part of the executor that talks to Kubernetes; its methods run in threads."""

    component = "binderhub-build"
    api = Any()

    @default("api")
    def _api(self) -> Anything:
        return load_kubernetes()

    def submit(self) -> None:
        self._create()
        while not self.stop_event.is_set():
            watching = watch.Watch()
            try:
                for event in watching.stream(
                    self.api.list_namespaced_pod,
                    self.namespace,
                    label_selector=f"name={self.name}",
                    timeout_seconds=30,
                    _request_timeout=REQUEST_TIMEOUT_S,
                ):
                    if self._seen(event):
                        return
            except ReadTimeoutError:
                app_log.warning("Timeout in watch stream for %s", self.name)
            finally:
                watching.stop()

    def stream_logs(self) -> None:
        app_log.info("Watching logs of %s", self.name)
        response = self.api.read_namespaced_pod_log(
            self.name,
            self.namespace,
            follow=True,
            tail_lines=self.log_tail_lines,
            _request_timeout=(3, LONGEST_BUILD_S),  # the client takes no None
            _preload_content=False,
        )
        for raw in response:
            if self.stop_event.is_set():
                return
            self.progress(Kind.LOG_MESSAGE, as_json_line(raw.decode("utf-8")))

    def cleanup(self) -> None:
        try:
            self.api.delete_namespaced_pod(
                self.name,
                self.namespace,
                body=client.V1DeleteOptions(grace_period_seconds=0),
                _request_timeout=REQUEST_TIMEOUT_S,
            )
        except ApiException as error:
            if error.status != 404:  # another request of the same build was quicker
                raise

    def _create(self) -> None:
        try:
            self.api.create_namespaced_pod(self.namespace, self.get_pod(), _request_timeout=REQUEST_TIMEOUT_S)
        except ApiException as error:
            if error.status != 409:
                raise
            app_log.info("Build %s already running", self.name)
        else:
            app_log.info("Started build %s", self.name)

    def _seen(self, event: dict[str, Anything]) -> bool:
        """True when the pod is gone."""
        phase = event["object"].status.phase
        if event["type"] == "DELETED":
            status = BuildStatus.BUILT if phase == "Succeeded" else BuildStatus.FAILED
            self.progress(Kind.BUILD_STATUS_CHANGE, status)
            return True
        if phase in OF_PHASE and not self.stop_event.is_set():
            self.progress(Kind.BUILD_STATUS_CHANGE, OF_PHASE[phase])
        if phase in ("Succeeded", "Failed"):
            self.cleanup()
        return self.stop_event.is_set()


def as_json_line(line: str) -> str:
    """The line itself if it is JSON, else wrapped as a message of the phase `unknown`."""
    try:
        json.loads(line)
    except ValueError:
        return json.dumps({"phase": "unknown", "message": line})
    return line
