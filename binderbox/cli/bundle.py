"""The commands for bundles, from which a host without the Internet is installed: bundle create, bundle verify."""

from __future__ import annotations

from pathlib import Path

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.group()
@options.common
def bundle() -> None:
    """Make a bundle for hosts without the Internet, or verify one.

    \b
    binderbox bundle create ./bundle
    """


@bundle.command("create")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@options.option(
    "--arch",
    type=click.Choice(["amd64", "arm64"]),
    default="amd64",
    help="The hosts' architecture.  [default: amd64]",
)
@options.option(
    "--versions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A site's own pins. Default: binderbox's own.",
)
@options.option(
    "--extra-ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A certificate authority of your network (PEM); implies --require-pins.",
)
@options.option(
    "--require-pins/--no-require-pins",
    default=None,
    help="Take only what is pinned; ask no publisher what its artifacts are.",
)
@options.common
@click.pass_obj
def create(
    session: Session,
    directory: Path,
    arch: str,
    versions: Path | None,
    extra_ca: tuple[Path, ...],
    require_pins: bool | None,
) -> int:
    """Make a bundle in DIR, from the Internet.

    What is not pinned is taken as its publisher states it, and an install then wants the lock's checksum. Interrupted,
    the same command goes on; a whole bundle is looked through and left as it is.

    \b
    binderbox bundle create ./bundle
    """
    session.start("bundle create")

    from binderbox.output.report.bundle import render_bundle
    from binderbox.output.requests import BundleRequest

    request = BundleRequest(directory, arch, versions, extra_ca, require_pins)

    from binderbox.commands.bundle.create import create as create_bundle

    result = create_bundle(request, session.progress)
    return session.answer(result, lambda style: render_bundle(result, style, versions))


@bundle.command("verify")
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@options.common
@click.pass_obj
def verify(session: Session, directory: Path) -> int:
    """Hold every file in DIR against its lock, and look into its image archives.

    \b
    binderbox bundle verify ./bundle
    """
    session.start("bundle verify")

    from binderbox.output.report.bundle import render_bundle
    from binderbox.output.requests import BundleRequest

    request = BundleRequest(directory)

    from binderbox.commands.bundle.verify import verify as verify_bundle

    result = verify_bundle(request, session.progress)
    return session.answer(result, lambda style: render_bundle(result, style))
