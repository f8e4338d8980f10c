"""The command for what lies on the member's disks."""

from __future__ import annotations

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.command()
@options.host_argument
@options.common
@click.pass_obj
def disk(session: Session, host: str) -> int:
    """Show who uses what of the disk, and how long it lasts.

    At the pace of the last week. The node measures once an hour, and keeps the same figures for Prometheus in /var/lib/binderbox/metrics.

    \b
    binderbox disk host.example
    """
    session.start("disk", host)

    from binderbox.commands.disk import disk_of
    from binderbox.output.report.disk import render_disk

    result = disk_of(session.connection(host))
    return session.answer(
        result, lambda style: render_disk(result, style), exit_code=5 if result.refused else 0
    )
