"""The command that lists artifacts."""

from __future__ import annotations

from pathlib import Path

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.command()
@options.host_argument
@options.sources
@options.common
@click.pass_obj
def artifacts(
    session: Session,
    host: str,
    config: Path | None,
    versions: Path | None,
    bundle: Path | None,
    bundle_sha256: str | None,
) -> int:
    """List what a host is made from, and why it is believed.

    Version, whose word its checksum has, size, and whether it is there.

    \b
    binderbox artifacts host.example
    """
    session.start("artifacts", host)

    from binderbox.cli.target import sources
    from binderbox.output.report.artifacts import render_artifacts
    from binderbox.output.requests import ArtifactsRequest

    request = ArtifactsRequest(
        session.connection(host), sources(host, config, versions, bundle, bundle_sha256)
    )

    from binderbox.commands.artifacts.listing import list_artifacts

    result = list_artifacts(request, session.progress)
    return session.answer(result, lambda style: render_artifacts(result, style))
