"""The command line: it parses, calls and prints. Errors become exit codes here, once (`failure.py`).

A command's module is imported only when the command runs, so that `binderbox --help` stays quick.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import click

from binderbox.cli.lazy import Lazy
from binderbox.cli.options import common
from binderbox.cli.session import Session

COMMANDS = {
    "init": ("binderbox.cli.install", "Write a short config for a new member."),
    "check": ("binderbox.cli.install", "Check a host; nothing is changed."),
    "plan": ("binderbox.cli.install", "Show what install would do, and why each value is what it is."),
    "install": ("binderbox.cli.install", "Make the host a working member, and prove it with a launch."),
    "status": ("binderbox.cli.status", "Show how the member is doing, on one screen."),
    "artifacts": ("binderbox.cli.artifacts", "List what a host is made from, and why it is believed."),
    "launch": ("binderbox.cli.launch", "Launch a repository on the member, as a visitor would."),
    "abuse": ("binderbox.cli.abuse", "See whether strangers' code can harm others from the member."),
    "registry": ("binderbox.cli.registry", "See what the member's registry holds, and have it forget."),
    "disk": ("binderbox.cli.disk", "Show who uses what of the disk, and how long it lasts."),
    "secrets": ("binderbox.cli.secrets", "List the member's secrets, or give it one."),
    "uninstall": ("binderbox.cli.install", "Take binderbox off the host; data stays unless --purge."),
    "bundle": ("binderbox.cli.bundle", "Make a bundle for hosts without the Internet, or verify one."),
    "drain": ("binderbox.cli.drain", "Take the member out of rotation; sessions and builds go on."),
    "resume": ("binderbox.cli.drain", "Bring a drained member back into rotation."),
    "federation": ("binderbox.cli.federation", "Look at the federation, join it, and steer its traffic."),
    "demo": ("binderbox.cli.demo", "Start or remove a throwaway host with a member on it."),
}


def _show_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"binderbox {version('binderbox')}")
        ctx.exit()


@click.group(
    cls=Lazy,
    table=COMMANDS,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="HOST is what you would give to ssh: a name, user@name, ssh://user@name:port, or an alias of your ssh "
    "config. The word `demo` means the running demo host. Exit codes: 0 ok, 1 bug, 2 usage or config, 3 preflight, "
    "4 step failed (run it again), 5 unhealthy, 6 changes pending, 7 locked, 130 interrupted.",
)
@common
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def cli() -> None:
    """Turn one bare Linux VM into a working member of the mybinder.org federation.

    \b
    binderbox init host.example --domain binder.example
    binderbox install host.example
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code of the program."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a sign that the terminal lacks must not end what was done
    session = Session(tuple(args))
    try:
        code = cli.main(args, prog_name="binderbox", standalone_mode=False, obj=session)
        return code if isinstance(code, int) else 0
    except BaseException as error:
        from binderbox.cli.failure import report_failure

        return report_failure(session, error)
    finally:
        session.close()
