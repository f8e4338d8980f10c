"""Certificates that the ingress has not got: it is let order again, ever more rarely."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from binderbox import layout
from binderbox.decide import orders
from binderbox.parts.agent.jobs import files, received, telling
from binderbox.parts.agent.jobs.config import AgentConfig

JOB = "watch"


def look(config: AgentConfig) -> None:
    """See which names of this member the ingress has no certificate for, and let it order when it is time."""
    if not config.received_file:
        return
    name = urlsplit(config.binder_url).hostname or ""
    wanting = orders.missing((name, f"hub.{name}"), received.names(config.received_file))
    if not wanting:
        files.remove(layout.ORDERS_RECORD)
        return
    record, now = orders.due(orders.parse(files.read(layout.ORDERS_RECORD)), time.time())
    files.write(layout.ORDERS_RECORD, orders.render(record))
    if now:
        telling.audit(JOB, "order", names=" ".join(wanting), times=str(record.times))
        files.write(layout.ORDER_ROUTES_FILE, orders.render_route(record))
