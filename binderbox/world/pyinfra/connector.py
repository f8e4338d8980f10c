"""pyinfra's connector over the system's OpenSSH: commands and files go through a `Connection`.

`deploying.run` hands it the run's open connection. With pyinfra's own command line it is `@binderbox/HOST` and makes
its own (`ssh_config` may be given as `binderbox_ssh_config`).

Two things save round trips. While pyinfra prepares, nothing changes the host, so the answer to a fact's command is
kept and given again. While it executes, the same holds for commands of the type `Looking` between two other ones.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from io import IOBase
from pathlib import Path
from typing import IO, Any, TypedDict, cast

from pyinfra.api import StringCommand
from pyinfra.api.exceptions import ConnectError as PyinfraConnectError
from pyinfra.api.util import get_file_io
from pyinfra.connectors.base import BaseConnector, DataMeta
from pyinfra.connectors.util import CommandOutput, OutputLine, make_unix_command_for_host

from binderbox.errors import ConnectError
from binderbox.world.ssh.connection import Connection
from binderbox.world.ssh.destination import parse_destination
from binderbox.world.ssh.shell import Output
from binderbox.world.ssh.transfer import SMALL, UPLOAD_S_PER_MB, pieces, put_script, size_of

OPERATION_S = 3600.0  # an operation without a _timeout of its own is given up after this
FACT_S = 120.0


class Looking(StringCommand):
    """A fact's command that only reads: its answer holds until something else is run."""


class Data(TypedDict):
    """Host data for use from pyinfra's own command line."""

    binderbox_destination: str
    binderbox_ssh_config: str


class OpenSSHConnector(BaseConnector):
    """One host, one connection; `failure` is the last command that did not succeed, for the error's text."""

    handles_execution = True
    sets_mode = True  # put_file gives a file the mode that its source's `mode_bits` attribute names
    data_cls = Data
    data_meta = {  # noqa: RUF012
        "binderbox_destination": DataMeta("ssh destination"),
        "binderbox_ssh_config": DataMeta("ssh config file to read in place of the user's own"),
    }
    failure: tuple[str, Output] | None = None

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """`@binderbox/HOST` to a host's name and data."""
        yield f"@binderbox/{name}", {"binderbox_destination": name}, []

    def connect(self) -> None:
        """Use the connection that is there, or make one."""
        self._kept: dict[str, tuple[bool, CommandOutput]] = {}
        self._own: Connection | None = None
        given = self.host.connector_data.get("connection")
        if given is not None:
            self.connection = cast(Connection, given)
            return
        config = self.data["binderbox_ssh_config"]
        try:
            where = parse_destination(self.data["binderbox_destination"], Path(config) if config else None)
            self.connection = self._own = Connection(where).open()
        except ConnectError as refused:
            raise PyinfraConnectError(f"{refused}: {refused.cause}") from refused

    def disconnect(self) -> None:
        """Close the connection if it is our own."""
        if self._own:
            self._own.close()

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """Run a fact's or an operation's command; pyinfra's global arguments keep their meaning."""
        looking = isinstance(command, Looking) or not self.state.is_executing
        timeout = arguments.pop("_timeout", None)
        stdin = arguments.pop("_stdin", None)
        codes = arguments.pop("_success_exit_codes", None) or [0]
        arguments.pop("_get_pty", None)
        text = self._text(command, arguments)
        if looking and stdin is None and text in self._kept:
            return self._kept[text]
        if not looking:
            self._kept.clear()
        output = self.connection.run(
            text,
            stdin=_stdin_bytes(stdin),
            timeout_s=timeout or (FACT_S if looking else OPERATION_S),
            work=not looking,
        )
        self._log(str(command), output)
        lines = [OutputLine("stdout", line) for line in _lines(output.stdout)]
        result = (
            output.code in codes,
            CommandOutput(lines + [OutputLine("stderr", e) for e in _lines(output.stderr)]),
        )
        if not result[0]:
            self.failure = (str(command), output)
        if looking and stdin is None:
            self._kept[text] = result
        return result

    def put_file(
        self,
        filename_or_io: str | IOBase,
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Write a file as a whole; an existing one keeps its mode unless the source names one."""
        self._kept.clear()
        with get_file_io(_typed(filename_or_io)) as file:
            size = size_of(file)
            script = put_script(remote_filename, getattr(filename_or_io, "mode_bits", None), size)
            limit = FACT_S + UPLOAD_S_PER_MB * size / 1e6
            if size <= SMALL:
                content = b"".join(pieces(file))
                output = self.connection.run(script, stdin=content, timeout_s=limit, work=True)
            else:
                output = self.connection.session(script, stdin=pieces(file), timeout_s=limit)
        self._log(f"put {remote_filename} ({size} bytes)", output)
        if not output.ok:
            self.failure = (f"put {remote_filename}", output)
        return output.ok

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | IOBase,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Read a file."""
        output = self.connection.run(f"cat {shlex.quote(remote_filename)}", timeout_s=OPERATION_S)
        self._log(f"get {remote_filename}", Output(output.code, b"", output.stderr))
        if output.ok:
            with get_file_io(_typed(filename_or_io), "wb") as file:
                file.write(output.stdout)
        else:
            self.failure = (f"get {remote_filename}", output)
        return output.ok

    def _text(self, command: StringCommand | str, arguments: dict[str, Any]) -> str:
        """The command's text; wrapped by pyinfra only where a global argument asks for it."""
        if isinstance(command, str):  # a fact may give its command as plain text
            command = StringCommand(command)
        wanted = {key: value for key, value in arguments.items() if value and key not in _NO_WRAP}
        if arguments.get("_shell_executable") in (None, "sh"):
            wanted.pop("_shell_executable", None)
        if not wanted:
            return command.get_raw_value()
        return make_unix_command_for_host(self.state, self.host, command, **arguments).get_raw_value()

    def _log(self, what: str, output: Output) -> None:
        log = self.host.connector_data.get("log")
        if log:
            streams = f"\n{output.text}{output.errors}" if self.state.is_executing or output.code else ""
            shown = what if len(what) < 300 or self.state.is_executing else f"{what[:300]} ..."
            log.write(f"$ {shown}\n[{output.code}]{streams}")


_NO_WRAP = ("_retries", "_retry_delay", "_retry_until", "_temp_dir")


def _typed(source: str | IOBase) -> str | IO[Any]:
    return (
        source if isinstance(source, str) else cast("IO[Any]", source)
    )  # pyinfra names both types for one thing


def _lines(data: bytes) -> list[str]:
    text = data.decode(errors="replace")
    return text.removesuffix("\n").split("\n") if text else []


def _stdin_bytes(stdin: object) -> bytes | None:
    """pyinfra's _stdin: text, a list of lines, or something with `readlines`."""
    if stdin is None:
        return None
    lines = stdin.readlines() if hasattr(stdin, "readlines") else stdin
    lines = [lines] if isinstance(lines, str) else lines
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in cast("list[str]", lines)).encode()
