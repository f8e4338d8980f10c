"""Running @deploy functions: one pyinfra State per call, silent, with errors that name the operation.

pyinfra reads facts twice, to prepare and again to execute. Here an operation that found nothing to do is executed
only if an operation before it changed something; until then its facts still hold. With `dry` nothing is executed,
and `_if` conditions are answered from what earlier operations would have done.
pyinfra's API is touched in this file, its neighbour `deployparts.py`, and `connector.py` alone.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyinfra.api import Config, Inventory, State
from pyinfra.api.deploy import add_deploy
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host as PyinfraHost
from pyinfra.api.operations import run_host_op
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ctx_config, ctx_host, ctx_state

from binderbox import layout
from binderbox.errors import BinderboxError
from binderbox.world.host.hosts import Host
from binderbox.world.pyinfra.connector import OpenSSHConnector
from binderbox.world.pyinfra.deployparts import deploy_name, failed, operation_name, predict

Runner = Callable[[Host, Callable[..., Any], tuple[object, ...], bool], tuple[list[str], int, list[str]]]
"""Runs a deploy, or with the last argument only foretells it: changed operations, number of the others, diffs."""
DIFFS = "binderbox_diffs"  # key of connector_data under which operations of ours leave their diffs

_log = logging.getLogger("pyinfra")
_log.propagate = False
_log.setLevel(logging.INFO)


@dataclass(frozen=True)
class DeployResult:
    """What one deploy did, or would do: names of operations, diffs of files (secrets never in them)."""

    changed: tuple[str, ...] = ()
    unchanged: int = 0
    diffs: tuple[str, ...] = ()
    seconds: float = 0.0
    round_trips: int = 0


class OneHost(Inventory):
    """An inventory of one host with our connector; loads no other connector, which saves 0.3 s."""

    def __init__(self, host: Host) -> None:
        self._host = host
        super().__init__(([host.name], {}))  # type: ignore[no-untyped-call]

    def make_hosts_and_groups(self, names: Any, groups: Any) -> None:
        """Make the one host."""
        name = self._host.name
        made = PyinfraHost(name, inventory=self, groups=[], connector_cls=OpenSSHConnector)
        made.connector_data |= {"connection": self._host.connection, "log": self._host.log}
        self.hosts = {name: made}


class _Capture(logging.Handler):
    """pyinfra's own words go to the log; the diffs among them are kept."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self.diffs: list[str] = []
        self._open: list[str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        text = re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage())
        if found := re.search(r"Will (?:modify|create) (/\S+)", text):
            self._open = [found[1]]
        elif self._open is not None:
            if text.strip():
                self._open.append(text.removeprefix("  "))
            else:
                self.diffs.append(self._render(self._open))
                self._open = None
        elif record.levelno >= logging.WARNING:
            self._host.log.write(f"pyinfra: {text}")

    def _render(self, lines: list[str]) -> str:
        if lines[0].startswith(layout.ETC + "/secrets"):
            return f"{lines[0]}\n(secret)"
        return self._host.log.clean("\n".join(line.rstrip("\n") for line in lines))


def run(
    host: Host,
    deploy: Callable[..., Any],
    *inputs: object,
    dry: bool = False,
    diff: bool | None = None,
    by: Runner | None = None,
) -> DeployResult:
    """Bring the host into the state that a @deploy function describes, or with `dry` only say what would change.

    `diff` collects file diffs (default: with `dry`; one more round trip for each file that differs). `by` runs
    it in another way than ours, for comparison. StepFailed names the failing operation.
    """
    started, trips = time.monotonic(), host.round_trips
    capture = _Capture(host)
    _log.addHandler(capture)
    try:
        if by is not None:
            changed, unchanged, found = by(host, deploy, inputs, dry)
        else:
            changed, unchanged, found = _ours(host, deploy, inputs, dry, dry if diff is None else diff)
    finally:
        _log.removeHandler(capture)
        for context in (ctx_host, ctx_state, ctx_config):  # an error on its way through leaves them set
            context.reset()
    diffs = tuple(host.log.clean(text) for text in (*capture.diffs, *found))
    seconds = time.monotonic() - started
    return DeployResult(tuple(changed), unchanged, diffs, seconds, host.round_trips - trips)


def _ours(
    host: Host, function: Callable[..., Any], inputs: tuple[object, ...], dry: bool, diff: bool
) -> tuple[list[str], int, list[str]]:
    state = State(OneHost(host), Config(DIFF=diff))
    (one,) = state.inventory
    connector = one.connector
    assert isinstance(connector, OpenSSHConnector)
    one.connect(raise_exceptions=True)
    state.activate_host(one)
    diffs: dict[str, str] = one.connector_data.setdefault(DIFFS, {})
    try:
        add_deploy(state, function, *inputs)
        changed, unchanged = predict(state, one) if dry else _execute(host, state, one, connector)
    except BinderboxError:
        raise
    except PyinfraError as error:
        if not host.connection.usable:
            raise host.connection.lost("in the middle of a step") from error
        raise failed(host, deploy_name(function), str(error), connector.failure) from error
    return changed, unchanged, list(diffs.values())


def _execute(
    host: Host, state: State, one: PyinfraHost, connector: OpenSSHConnector
) -> tuple[list[str], int]:
    changed: list[str] = []
    unchanged = 0
    state.is_executing = True
    with ctx_state.use(state), ctx_host.use(one):
        for op_hash in state.get_op_order():
            operation = state.ops[one][op_hash]
            if not changed and not operation.operation_meta.will_change:
                operation.operation_meta.set_complete(True, [], CommandOutput([]))
                unchanged += 1
                continue
            name = operation_name(state, op_hash)
            host.log.write(f"operation: {name}")
            connector.failure = None
            if not run_host_op(state, one, op_hash):
                if not host.connection.usable:
                    raise host.connection.lost(f"within: {name}")
                raise failed(host, name, "", connector.failure)
            if operation.operation_meta.did_change():
                changed.append(name)
            else:
                unchanged += 1
    return changed, unchanged
