"""The commands for a throwaway host on this machine, with a member on it: demo up, demo down."""

from __future__ import annotations

from pathlib import Path

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.group()
@options.common
def demo() -> None:
    """Start or remove a throwaway host with a member on it.

    \b
    binderbox demo up
    """


@demo.command()
@options.option("--image", metavar="TAG", help="Boot this image instead of building one from debian:12.")
@options.option("--bundle", type=click.Path(exists=True, path_type=Path), help="Take artifacts from this directory.")  # fmt: skip
@options.option("--bundle-sha256", metavar="HEX", help="Accept the bundle whose lock file has this checksum.")
@options.option("--egress-allow", metavar="NET:PORTS", multiple=True, help="A network that is not public and may be reached, such as 10.20.0.0/24:443,3128.")  # fmt: skip
@options.option("--extra-ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, help="A certificate authority of your network (PEM).")  # fmt: skip
@options.option("--acme-server", metavar="URL", help="Order certificates from this ACME directory, which must find demo.localhost at this machine's port 80.")  # fmt: skip
@options.option("--offline", is_flag=True, help="For a machine without the Internet.")
@options.yes
@options.common
@click.pass_obj
def up(
    session: Session,
    image: str | None,
    bundle: Path | None,
    bundle_sha256: str | None,
    egress_allow: tuple[str, ...],
    extra_ca: tuple[Path, ...],
    acme_server: str | None,
    offline: bool,
    yes: bool,
) -> int:
    """Start a throwaway host, install a member on it, and launch a notebook.

    Needs a container engine on this machine. A demo host that runs already is used again.

    \b
    binderbox demo up
    """
    session.start("demo up", "demo")

    from binderbox.commands import demo_files as state
    from binderbox.commands.demo import ensure_host

    site: dict[str, object] = {
        "egress_allow": [state.parse_egress(text) for text in egress_allow] or None,
        "extra_ca": [path.read_text(encoding="utf-8") for path in extra_ca] or None,
        "acme_server": acme_server,
        "offline": offline or None,
    }
    running = ensure_host(session.progress, image, site)

    from binderbox.cli.target import sources
    from binderbox.commands.install import install
    from binderbox.commands.launch import launch
    from binderbox.member.model import parse
    from binderbox.output.requests import Connection, InstallRequest, LaunchRequest

    connection = Connection(state.ALIAS, running.ssh_config)
    wanted = sources(state.ALIAS, running.member_file, bundle=bundle, bundle_sha256=bundle_sha256)
    installed = install(InstallRequest(connection, wanted), session.progress, session.confirm(yes))
    launched = launch(LaunchRequest(connection), session.progress)
    fields = {
        "host": state.ALIAS,
        "url": launched.url,
        "member": installed.url,
        "ssh_config": str(running.ssh_config),
    }
    own_ca = parse(running.member_file.read_text(encoding="utf-8"), str(running.member_file)).tls == "own-ca"
    vouched = (
        "its certificate authority is its own, so a browser warns"
        if own_ca
        else "an authority vouches for it"
    )
    told = f"""\
A notebook runs at
  {launched.url}
The member answers at {installed.url}; {vouched}.

Look inside:  binderbox status demo
              ssh -F {running.ssh_config} demo
Remove it:    binderbox demo down"""
    return session.answer(fields, lambda style: told)


@demo.command()
@options.common
@click.pass_obj
def down(session: Session) -> int:
    """Remove the demo host and everything that `demo up` made.

    \b
    binderbox demo down
    """
    session.start("demo down")

    from binderbox.commands.demo import remove_host
    from binderbox.commands.demo_files import ALIAS

    names = remove_host()
    told = "removed " + ", ".join(names) if names else "no demo host was there"
    return session.answer({"host": ALIAS, "removed": names}, lambda style: told)
