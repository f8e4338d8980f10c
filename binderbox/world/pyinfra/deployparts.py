"""What our run of a deploy and pyinfra's own have in common: foretelling, names, and the error that names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyinfra.api import State, StringCommand
from pyinfra.api.host import Host as PyinfraHost
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ctx_host, ctx_state

from binderbox.errors import StepFailed
from binderbox.world.host.hosts import Host
from binderbox.world.ssh.shell import Output

if TYPE_CHECKING:
    from pyinfra.api.operation import OperationMeta
    from pyinfra.api.state import StateOperationHostData

TAIL = 20  # lines of a failing command's output that an error shows


def predict(state: State, one: PyinfraHost) -> tuple[list[str], int]:
    """Which operations would change something, were they run now in this order."""
    changed: list[str] = []
    unchanged = 0
    with ctx_state.use(state), ctx_host.use(one):
        for op_hash in state.get_op_order():
            operation = state.ops[one][op_hash]
            would = operation.operation_meta.will_change and _conditions_hold(operation)
            _pretend(operation.operation_meta, would)
            if would:
                changed.append(operation_name(state, op_hash))
            else:
                unchanged += 1
    return changed, unchanged


def _conditions_hold(operation: StateOperationHostData) -> bool:
    conditions = operation.global_arguments.get("_if") or []
    return all(condition() for condition in (conditions if isinstance(conditions, list) else [conditions]))


def _pretend(meta: OperationMeta, change: bool) -> None:
    meta.set_complete(True, [StringCommand("true")] if change else [], CommandOutput([]))


def operation_name(state: State, op_hash: str) -> str:
    """An operation's name, without those of the deploys around it."""
    return ", ".join(sorted(state.get_op_meta(op_hash).names)).rpartition(" | ")[2]


def deploy_name(function: Callable[..., Any]) -> str:
    """The name in a deploy's decorator."""
    return str(
        getattr(getattr(function, "_inner", function), "deploy_name", getattr(function, "__name__", "deploy"))
    )


def failed(host: Host, name: str, why: str, failure: tuple[str, Output] | None) -> StepFailed:
    """The error for an operation that failed: its command, its exit code, its last lines; secrets are masked."""
    cause = [why] if why and not failure else []
    if failure:
        command, output = failure
        shown = command if len(command) <= 200 else f"{command[:200]} ..."
        cause += [f"{shown}\nended with exit code {output.code}", output.tail(TAIL)]
    return StepFailed(
        f"{host.name}: failed: {name}",
        cause=host.log.clean("\n".join(filter(None, cause))),
        remedy="mend the cause and run the same command again, it continues",
        log=host.log.path,
    )
