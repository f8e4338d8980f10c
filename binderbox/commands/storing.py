"""The bucket for the registry's images: made on the node's own object store, or marked where somebody else has made it."""

from __future__ import annotations

from binderbox.plan import Plan
from binderbox.world.host.hosts import Host
from binderbox.world.s3.bucket import ensure_bucket
from binderbox.world.s3.outside import ensure_owner


def bucket_is_ours(host: Host, plan: Plan, dry: bool) -> tuple[str, ...]:
    """The names of what was (or would be) changed; raises StepFailed where another member has marked it."""
    member = plan.member
    if store := member.object_store:
        return ensure_owner(host, store, member.domain, member.extra_ca, dry=dry)
    return ensure_bucket(host, member.domain, plan.disk.objectstore_max_gb.value, dry=dry)
