"""The HOST that a user gave, as arguments for the system's `ssh`.

`user@host`, `ssh://user@host:port` and aliases of the user's ssh config go to ssh as they are: it knows all three.
A destination that ssh could take for an option is refused (ConfigError). Another config file than the user's own is
`ssh_config`, by default what BINDERBOX_SSH_CONFIG names.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from binderbox.errors import ConfigError

CONFIG_VARIABLE = "BINDERBOX_SSH_CONFIG"


@dataclass(frozen=True)
class Destination:
    """Where to go: `text` as the user wrote it, `config` the ssh config file to read instead of the user's."""

    text: str
    config: Path | None = None

    @property
    def name(self) -> str:
        """The host's name alone, for messages and file names."""
        name = self.text.removeprefix("ssh://").rpartition("@")[2]
        if self.text.startswith("ssh://"):
            name = re.sub(r":\d+$", "", name.rstrip("/"))
        return name.strip("[]")

    @property
    def ssh(self) -> list[str]:
        """`ssh` and the option for the config file; what every call starts with."""
        return ["ssh", "-F", str(self.config)] if self.config else ["ssh"]

    @property
    def plain(self) -> str:
        """The ssh line a user can type to compare."""
        return shlex.join([*self.ssh, self.text, "true"])


def parse_destination(text: str, ssh_config: Path | None = None) -> Destination:
    """HOST and an optional config file to a Destination; ConfigError for what ssh could misread."""
    if not text or text.startswith("-") or re.search(r"[\s\x00-\x1f'\"`$;|&<>\\]", text):
        raise ConfigError(
            f"not an ssh destination: {text!r}",
            cause="a host is user@host, ssh://user@host:port, or an alias of your ssh config",
            remedy="binderbox check user@host.example",
        )
    variable = os.environ.get(CONFIG_VARIABLE)
    config = ssh_config or (Path(variable) if variable else None)
    if config is not None and not config.is_file():
        raise ConfigError(
            f"the ssh config {config} does not exist", remedy=f"correct --ssh-config or {CONFIG_VARIABLE}"
        )
    return Destination(text, config)
