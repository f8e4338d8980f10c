"""Reaps build pods that ended, or that are older than `max_age`."""

import datetime
import os
from typing import Any as Anything

from kubernetes import client
from kubernetes.client.rest import ApiException
from tornado.log import app_log
from traitlets import Any, Integer, Unicode, default
from traitlets.config import LoggingConfigurable


class KubernetesCleaner(LoggingConfigurable):
    """+ max_age: seconds; 0 for never."""

    kube = Any()
    namespace = Unicode()
    max_age = Integer(3600 * 4, config=True)

    @default("namespace")
    def _namespace(self) -> str:
        return os.environ.get("BUILD_NAMESPACE", "default")

    def cleanup(self) -> None:
        now = datetime.datetime.now(tz=datetime.UTC)
        pods = self.kube.list_namespaced_pod(self.namespace, label_selector="component=binderhub-build").items
        for pod in pods:
            if not is_due(pod, now, self.max_age):
                continue
            app_log.info("Deleting %s build %s", pod.status.phase, pod.metadata.name)
            try:
                self.kube.delete_namespaced_pod(
                    pod.metadata.name, self.namespace, body=client.V1DeleteOptions(grace_period_seconds=0)
                )
            except ApiException as error:
                if error.status != 404:
                    raise


def is_due(pod: Anything, now: datetime.datetime, max_age_s: int) -> bool:
    if pod.status.phase in ("Failed", "Succeeded", "Evicted"):
        return True
    started = pod.status.start_time
    return bool(max_age_s and started and now - started > datetime.timedelta(seconds=max_age_s))
