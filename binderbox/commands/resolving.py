"""The cluster's resolver asks whom the host asks: a pod has the list as it was when it started."""

from __future__ import annotations

from datetime import datetime

from binderbox import layout
from binderbox.plan import Plan
from binderbox.world.cluster import kubectl_or_nothing
from binderbox.world.host.hosts import Host

PODS = ("--namespace", "kube-system", "--selector", "k8s-app=kube-dns")
STARTED = 'jsonpath={range .items[*]}{.status.startTime}{"\\n"}{end}'


def resolver_is_current(host: Host, plan: Plan, dry: bool) -> tuple[str, ...]:
    """Restart the resolver's pods that started before their list of servers was written; says so, as a phase's `after`."""
    started = kubectl_or_nothing(host, "get", "pods", *PODS, "-o", STARTED)
    written = host.run(["stat", "-c", "%Y", layout.RESOLV_CONF]).text.strip()
    times = [datetime.fromisoformat(line).timestamp() for line in started if line.strip()]
    if not written or not any(one < int(written) for one in times):
        return ()
    if not dry:
        kubectl_or_nothing(host, "delete", "pod", *PODS, "--wait=false")
    return ("restart the cluster's resolver with its new servers",)
