"""Take everything away that binderbox made."""

from __future__ import annotations

from binderbox.commands.connect import changing, opened
from binderbox.commands.phases import UNINSTALL, run
from binderbox.errors import (
    UsageError,
)
from binderbox.output.progress import Progress
from binderbox.output.requests import (
    Confirm,
    UninstallRequest,
)
from binderbox.output.results import (
    UninstallResult,
)
from binderbox.world.host.leftovers import kept_paths, leftovers, remove_lock


def uninstall(request: UninstallRequest, progress: Progress, confirm: Confirm) -> UninstallResult:
    """Take everything away that binderbox made; data, secrets and the config stay unless `purge`."""
    with opened(request.connection) as host:
        what = (
            "everything, with all data and secrets," if request.purge else "everything but data and secrets"
        )
        if not confirm(f"Remove {what} from {host.name}?"):
            raise UsageError(
                f"{host.name}: not confirmed, nothing was changed", remedy="say --yes to go on without asking"
            )
        with changing(
            host, "uninstall", progress, wait_s=request.lock_wait_s, audited=not request.purge
        ) as lock:
            outcome = run(UNINSTALL, host, request.purge, None, progress, lock.step)
        remove_lock(host)
        left = leftovers(host, request.purge)
        kept = () if request.purge else kept_paths(host)
        return UninstallResult(host.name, outcome.changed, kept, left, outcome.phases)
