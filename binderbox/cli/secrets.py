"""The commands for a member's secrets. A value comes by stdin or from a file, never as an argument."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.group()
@options.common
def secrets() -> None:
    """List the member's secrets, or give it one."""


@secrets.command("list")
@options.host_argument
@options.common
@click.pass_obj
def list_command(session: Session, host: str) -> int:
    """List the names of the member's secrets, and whether each is set.

    \b
    binderbox secrets list host.example
    """
    session.start("secrets list", host)

    from binderbox.output.report.secrets import render_secrets

    connection = session.connection(host)

    from binderbox.commands.secrets import list_secrets

    result = list_secrets(connection, session.progress)
    return session.answer(result, lambda style: render_secrets(result, style))


@secrets.command("set")
@options.host_argument
@click.argument("name")
@options.option(
    "--file",
    "source",
    type=click.File("rb"),
    help="Read the value from this file. Default: stdin, or a hidden prompt on a terminal.",
)
@options.common
@click.pass_obj
def set_command(session: Session, host: str, name: str, source: BinaryIO | None) -> int:
    """Give the member a secret. One newline at its end is dropped.

    \b
    binderbox secrets set host.example github-client-secret < secret.txt
    """
    session.start("secrets set", host)

    from binderbox.output.report.secrets import render_secrets
    from binderbox.output.requests import SecretRequest

    request = SecretRequest(session.connection(host), name, _value(name, source))

    from binderbox.commands.secrets import set_secret

    result = set_secret(request, session.progress)
    return session.answer(result, lambda style: render_secrets(result, style))


def _value(name: str, source: BinaryIO | None) -> bytes:
    from binderbox.errors import ConfigError
    from binderbox.parts.secrets.kinds import GIVEN

    if name not in GIVEN:
        raise ConfigError(
            f"{name!r} is no secret that can be given; there are {', '.join(GIVEN)}",
            remedy="binderbox secrets list HOST",
        )
    if source is None and sys.stdin.isatty():
        value = str(click.prompt(name, hide_input=True, err=True)).encode()
    else:
        value = (source or sys.stdin.buffer).read()
    value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value or b"\0" in value:
        what = "is empty" if not value else "holds a zero byte"
        raise ConfigError(f"the value of {name} {what}", remedy=f"binderbox secrets set HOST {name} < FILE")
    return value
