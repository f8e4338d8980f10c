"""A deploy through pyinfra as it comes: its ssh connector (paramiko), its own loop. For comparison only."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.deploy import add_deploy
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operations import run_ops

from binderbox.world.host.hosts import Host
from binderbox.world.pyinfra.deployparts import deploy_name, failed, operation_name, predict


def run(
    host: Host, function: Callable[..., Any], inputs: tuple[object, ...], dry: bool
) -> tuple[list[str], int, list[str]]:
    """Names of changed operations, number of the others, no diffs."""
    data: dict[str, object] = {"ssh_strict_host_key_checking": "yes"}
    if host.destination.config:
        data["ssh_config_file"] = str(host.destination.config)
    found = re.fullmatch(r"(?:ssh://)?(?:([^@]+)@)?([^@/]+?)(?::(\d+))?/?", host.destination.text)
    user, name, port = found.groups() if found else (None, host.destination.text, None)
    data |= {"ssh_user": user} if user else {}
    data |= {"ssh_port": int(port)} if port else {}
    state = State(Inventory(([(name, data)], {})), Config(SUDO=host.connection.way != "root"))
    try:
        connect_all(state)
        add_deploy(state, function, *inputs)
        (one,) = state.inventory
        if dry:
            return *predict(state, one), []
        run_ops(state)
    except PyinfraError as error:
        raise failed(host, deploy_name(function), f"pyinfra's own connector: {error}", None) from error
    finally:
        with suppress(Exception):
            disconnect_all(state)
    metas = {op_hash: state.ops[one][op_hash].operation_meta for op_hash in state.get_op_order()}
    changed = [operation_name(state, op_hash) for op_hash, meta in metas.items() if meta.did_change()]
    return changed, len(metas) - len(changed), []
