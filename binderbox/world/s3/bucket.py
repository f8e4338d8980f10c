"""The registry's bucket on the node's own object store, reached through a forward of our ssh connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import stamina
from urllib3.exceptions import HTTPError

from binderbox import layout
from binderbox.errors import WaitTimedOut
from binderbox.patience import patient
from binderbox.world import cluster
from binderbox.world.host.hosts import Host
from binderbox.world.s3 import store
from binderbox.world.s3.seen import secret as secret_of
from binderbox.world.s3.store import Key, Store

UP_WITHIN_S = 180


def ensure_bucket(host: Host, owner: str, ceiling_gb: float, *, dry: bool) -> tuple[str, ...]:
    """Bucket, owner (the member's domain), ceiling and the registry's key; the names of what was (or would be) changed."""
    service = host.run(["systemctl", "is-active", "--quiet", layout.K3S_UNIT])
    if dry and service.code:
        return ("Make the registry's bucket and key",)
    with _opened(host) as (there, key):
        steps = {
            "Make the registry's bucket": store.ensure_bucket(there, layout.BUCKET, dry=dry),
            "Mark the bucket as this member's": store.ensure_owner(there, layout.BUCKET, owner, dry=dry),
            "Set the bucket's ceiling": store.ensure_ceiling(there, layout.BUCKET, ceiling_gb, dry=dry),
            "Make the registry's key": store.ensure_key(there, key, layout.BUCKET, dry=dry),
        }
    return tuple(name for name, changed in steps.items() if changed)


@contextmanager
def _opened(host: Host) -> Iterator[tuple[Store, Key]]:
    root, key = (
        Key(secret_of(host, f"s3-{user}"), secret_of(host, f"s3-{secret}"))
        for user, secret in (("root-user", "root-password"), ("registry-access-key", "registry-secret-key"))
    )
    address = cluster.service_address(host, layout.NAMESPACE, "objectstore")
    with host.forward(f"{address}:{layout.OBJECTSTORE_PORT}") as (local, port):
        _wait(host, f"{local}:{port}", root)
        yield store.connect(f"{local}:{port}", root), key


def _wait(host: Host, address: str, root: Key) -> None:
    """Until the server answers; its pod may just have been made."""
    try:
        for attempt in stamina.retry_context(
            on=(HTTPError, OSError), attempts=None, timeout=patient(UP_WITHIN_S), wait_max=0.5
        ):
            with attempt:
                store.answers(address, root)
    except (HTTPError, OSError) as error:
        raise WaitTimedOut(
            f"{host.name}: the object store did not answer within {UP_WITHIN_S} s",
            cause="\n".join(
                [
                    str(error),
                    *cluster.kubectl_or_nothing(
                        host,
                        "describe",
                        "pods",
                        "-n",
                        layout.NAMESPACE,
                        "-l",
                        "app.kubernetes.io/name=objectstore",
                    )[-15:],
                ]
            ),
            remedy=f"binderbox install {host.name}",
        ) from error
