"""Options that several commands share. Each can also be given as BINDERBOX_ and its long name in capitals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from binderbox.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """An option whose errors name its environment variable only when that is where the value came from."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        hint = super().get_error_hint(ctx)
        given = ctx is not None and ctx.get_parameter_source(self.name or "") is ParameterSource.ENVIRONMENT
        return hint if given else hint.partition(" (env var:")[0]


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """`click.option` with its environment variable, which `--help` shows."""
    long = next(name for name in names if name.startswith("--")).partition("/")[0]
    variable = "BINDERBOX_" + long.lstrip("-").upper().replace("-", "_")
    return click.option(*names, cls=Option, envvar=variable, show_envvar=True, **settings)


def _into_session(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Options before and after the command's name mean the same, so they end in one place."""
    session = ctx.find_object(Session)
    if session is not None and value and param.name is not None:
        setattr(session, param.name, value)


_COMMON = (
    option(
        "--json",
        "json",
        is_flag=True,
        expose_value=False,
        callback=_into_session,
        help="Answer with JSON lines; the last is the result.",
    ),
    option(
        "-v",
        "--verbose",
        "verbose",
        count=True,
        expose_value=False,
        callback=_into_session,
        help="Show details; -vv also commands and tracebacks.",
    ),
    option(
        "--ssh-config",
        "ssh_config",
        type=click.Path(dir_okay=False, exists=True, path_type=Path),
        expose_value=False,
        callback=_into_session,
        help="Read this ssh config instead of ~/.ssh/config.",
    ),
    option(
        "--ask-sudo",
        "ask_sudo",
        is_flag=True,
        expose_value=False,
        callback=_into_session,
        help="Ask for the password that sudo wants on the host (or set BINDERBOX_SUDO_PASSWORD).",
    ),
)

_ADDRESS = option(
    "--address",
    "address",
    metavar="IP",
    expose_value=False,
    callback=_into_session,
    help="Where this machine reaches the host's web ports, if neither DNS knows its name nor ssh goes there directly.",
)


def _all(decorators: tuple[Callable[[F], F], ...]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def common(function: F) -> F:
    """--json, -v, --ssh-config and --ask-sudo."""
    return _all(_COMMON)(function)


def host_argument(function: F) -> F:
    """HOST, and --address."""
    return _all((click.argument("host", metavar="HOST"), _ADDRESS))(function)


def sources(function: F) -> F:
    """--config, --versions, --bundle and --bundle-sha256."""
    directory = click.Path(exists=True, path_type=Path)
    return _all(
        (
            option(
                "--config",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                help="The member's config. Default: ./HOST.yaml if there is one, else the one the host holds.",
            ),
            option(
                "--versions",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                help="A site's own pins. Default: those the host holds, else binderbox's own.",
            ),
            option(
                "--bundle", type=directory, help="Take artifacts from this directory, not from the Internet."
            ),
            option(
                "--bundle-sha256", metavar="HEX", help="Accept the bundle whose lock file has this checksum."
            ),
        )
    )(function)


require_pins = option(
    "--require-pins", is_flag=True, help="Use only what is pinned; ask no publisher what its artifacts are."
)
lock_wait = option(
    "--lock-wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait as long for another client that works on the host.",
)
yes = option("--yes", "-y", is_flag=True, help="Answer every question with yes.")
