"""What cryptnono's release reads beside its own values."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand, operation

from binderbox import layout
from binderbox.deploys.facts.states import FileStates


@operation()
def bans_rendered(path: str) -> Generator[StringCommand, None, None]:
    """Have the node's own job render its bans where it never has; what changes later it sees by itself.

    + path: the values that it renders
    """
    if host.get_fact(FileStates, paths=(path,))[path].kind == "file":
        host.noop("the node's bans are rendered")
        return
    environment = (*layout.AGENT_PYTHON, f"HOME={layout.AGENT_DATA}")
    yield StringCommand("env", *environment, "python3", "-m", "binderbox.parts.agent.jobs", "bans")
