"""Running @deploy functions: one pyinfra State per call, silent, with errors that name the operation.

pyinfra reads facts twice, to prepare and again to execute. Here an operation that found nothing to do is executed
only if an operation before it changed something; until then its facts still hold. With `dry` nothing is executed,
and `_if` conditions are answered from what earlier operations would have done.
Everything that touches pyinfra's API is in this file and in `connector.py`.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pyinfra.api import Config, Inventory, State, StringCommand
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.deploy import add_deploy
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host as PyinfraHost
from pyinfra.api.operation import OperationMeta
from pyinfra.api.operations import run_host_op, run_ops
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ctx_config, ctx_host, ctx_state

from binderbox import layout
from binderbox.errors import BinderboxError, StepFailed
from binderbox.world.connector import OpenSSHConnector
from binderbox.world.hosts import Connector, DeployResult, Host
from binderbox.world.shell import Output

if TYPE_CHECKING:
    from pyinfra.api.state import StateOperationHostData

DIFFS = "binderbox_diffs"  # key of connector_data under which operations of ours leave their diffs
TAIL = 20

_log = logging.getLogger("pyinfra")
_log.propagate = False
_log.setLevel(logging.INFO)


class OneHost(Inventory):  # type: ignore[misc]  # pyinfra's class is untyped
    """An inventory of one host with our connector; loads no other connector, which saves 0.3 s."""

    def __init__(self, host: Host) -> None:
        self._host = host
        super().__init__(([host.name], {}))

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


def deploy(
    host: Host,
    function: Callable[..., Any],
    inputs: tuple[object, ...],
    *,
    dry: bool,
    diff: bool,
    connector: Connector,
) -> DeployResult:
    """See Host.deploy."""
    started, trips = time.monotonic(), host.round_trips
    capture = _Capture(host)
    _log.addHandler(capture)
    try:
        if connector == "ssh":
            changed, unchanged, found = _stock(host, function, inputs, dry)
        else:
            changed, unchanged, found = _ours(host, function, inputs, dry, diff)
    finally:
        _log.removeHandler(capture)
        for context in (
            ctx_host,
            ctx_state,
            ctx_config,
        ):  # pyinfra leaves them set when an error passes through
            context.reset()
    diffs = tuple(host.log.clean(text) for text in (*capture.diffs, *found))
    seconds = time.monotonic() - started
    return DeployResult(tuple(changed), unchanged, diffs, seconds, host.round_trips - trips)


def _ours(
    host: Host, function: Callable[..., Any], inputs: tuple[object, ...], dry: bool, diff: bool
) -> tuple[list[str], int, list[str]]:
    state = State(OneHost(host), Config(DIFF=diff))
    (one,) = state.inventory
    one.connect(raise_exceptions=True)
    state.activate_host(one)
    diffs: dict[str, str] = one.connector_data.setdefault(DIFFS, {})
    try:
        add_deploy(state, function, *inputs)
        changed, unchanged = _predict(state, one) if dry else _execute(host, state, one)
    except BinderboxError:
        raise
    except PyinfraError as error:
        if not host.connection.usable:
            raise host.connection.lost("in the middle of a step") from error
        raise _failed(host, _deploy_name(function), str(error), one.connector.failure) from error
    return changed, unchanged, list(diffs.values())


def _execute(host: Host, state: State, one: PyinfraHost) -> tuple[list[str], int]:
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
            name = _operation_name(state, op_hash)
            host.log.write(f"operation: {name}")
            one.connector.failure = None
            if not run_host_op(state, one, op_hash):
                if not host.connection.usable:
                    raise host.connection.lost(f"within: {name}")
                raise _failed(host, name, "", one.connector.failure)
            if operation.operation_meta.did_change():
                changed.append(name)
            else:
                unchanged += 1
    return changed, unchanged


def _predict(state: State, one: PyinfraHost) -> tuple[list[str], int]:
    """Which operations would change something, were they run now in this order."""
    changed: list[str] = []
    unchanged = 0
    with ctx_state.use(state), ctx_host.use(one):
        for op_hash in state.get_op_order():
            operation = state.ops[one][op_hash]
            would = operation.operation_meta.will_change and _conditions_hold(operation)
            _pretend(operation.operation_meta, would)
            if would:
                changed.append(_operation_name(state, op_hash))
            else:
                unchanged += 1
    return changed, unchanged


def _conditions_hold(operation: StateOperationHostData) -> bool:
    conditions = operation.global_arguments.get("_if") or []
    return all(condition() for condition in (conditions if isinstance(conditions, list) else [conditions]))


def _pretend(meta: OperationMeta, change: bool) -> None:
    meta.set_complete(True, [StringCommand("true")] if change else [], CommandOutput([]))


def _stock(
    host: Host, function: Callable[..., Any], inputs: tuple[object, ...], dry: bool
) -> tuple[list[str], int, list[str]]:
    """pyinfra as it comes: its ssh connector (paramiko), its loop over operations."""
    data: dict[str, object] = {"ssh_strict_host_key_checking": "yes"}
    if host.destination.config:
        data["ssh_config_file"] = str(host.destination.config)
    found = re.fullmatch(r"(?:ssh://)?(?:([^@]+)@)?([^@/]+?)(?::(\d+))?/?", host.destination.text)
    user, name, port = found.groups() if found else (None, host.destination.text, None)
    data |= {"ssh_user": user} if user else {}
    data |= {"ssh_port": int(port)} if port else {}
    state = State(Inventory(([(name, data)], {})), Config(SUDO=bool(user and user != "root")))
    try:
        connect_all(state)
        add_deploy(state, function, *inputs)
        (one,) = state.inventory
        if dry:
            return *_predict(state, one), []
        run_ops(state)
    except PyinfraError as error:
        raise _failed(host, _deploy_name(function), f"pyinfra's own connector: {error}", None) from error
    finally:
        with suppress(Exception):
            disconnect_all(state)
    metas = {op_hash: state.ops[one][op_hash].operation_meta for op_hash in state.get_op_order()}
    changed = [_operation_name(state, op_hash) for op_hash, meta in metas.items() if meta.did_change()]
    return changed, len(metas) - len(changed), []


def _operation_name(state: State, op_hash: str) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names)).rpartition(" | ")[2]


def _deploy_name(function: Callable[..., Any]) -> str:
    return str(
        getattr(getattr(function, "_inner", function), "deploy_name", getattr(function, "__name__", "deploy"))
    )


def _failed(host: Host, name: str, why: str, failure: tuple[str, Output] | None) -> StepFailed:
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
