"""The commands of a member's life on a host: init, check, plan, install, uninstall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.command()
@options.host_argument
@options.option("--domain", required=True, help="The public name, e.g. binder.example.org.")
@options.option(
    "--tls",
    type=click.Choice(["acme", "own-ca"]),
    help="Certificates by Let's Encrypt (default), or by an authority of the host's own.",
)
@options.option("--acme-server", help="production, staging, or the address of an ACME directory.")
@options.option("--email", help="Mail address for Let's Encrypt.")
@options.option(
    "--abuse-contact", help="Who answers the provider's abuse mail: an address or an https:// page."
)
@options.option("--ingress-ip", help="The address that the DNS records have, when it is not the host's own.")
@options.option("--data-dir", help="Where binderbox keeps its data on the host.")
@options.option("--pods", type=int, help="Pods on the node. Default: computed.")
@options.option("--quota", type=int, help="Users at a time. Default: computed.")
@options.option("--build-slots", type=int, help="Builds at a time. Default: computed.")
@options.option("--offline", is_flag=True, default=None, help="For a host without the Internet.")
@options.option("--output", "-o", metavar="FILE", help="Write there, - for stdout. Default: ./HOST.yaml.")
@options.option("--force", is_flag=True, help="Overwrite the file.")
@options.common
@click.pass_obj
def init(session: Session, /, host: str, output: str | None, force: bool, **flags: Any) -> int:
    """Write a short config for a new member.

    \b
    binderbox init host.example --domain binder.example.org
    """
    session.start("init")
    session.host = host

    from binderbox.cli.target import config_file
    from binderbox.errors import UsageError
    from binderbox.member import model as member

    text = member.render(flags)
    path = Path(output) if output else config_file(host)
    if output == "-":
        return session.answer({"host": host, "config": "-", "text": text}, lambda style: text.rstrip())
    if path.exists() and not force:
        raise UsageError(
            f"{path} is there already", remedy=f"edit it, or {session.command_line(extra='--force')}"
        )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", remedy="name another with --output"
        ) from error
    told = f"wrote {path}; next: binderbox check {host}"
    return session.answer({"host": host, "config": str(path), "text": text}, lambda style: told)


@click.command()
@options.host_argument
@options.sources
@options.option("--short", is_flag=True, help="Only what does not hold, to paste into a chat.")
@options.option(
    "--upstream", is_flag=True, help="Ask publishers whether they still state what the host has recorded."
)
@options.common
@click.pass_obj
def check(
    session: Session,
    host: str,
    config: Path | None,
    versions: Path | None,
    bundle: Path | None,
    bundle_sha256: str | None,
    short: bool,
    upstream: bool,
) -> int:
    """Check a host; nothing is changed.

    Before an install: whether the host is fit. After it: also whether every part does what it should.

    \b
    binderbox check host.example
    """
    session.start("check", host)

    from binderbox.cli.target import sources
    from binderbox.output.report.checks import render_checks, render_short
    from binderbox.output.requests import CheckRequest

    request = CheckRequest(
        session.connection(host), sources(host, config, versions, bundle, bundle_sha256), upstream
    )

    from binderbox.commands.check import check_host

    report = check_host(request, session.progress)
    return session.answer(
        report, lambda style: render_short(report) if short else render_checks(report, style)
    )


@click.command()
@options.host_argument
@options.sources
@options.option("--exit-code", is_flag=True, help="Exit with 6 when changes wait.")
@options.option("--diff", is_flag=True, help="Show the differences of files and charts.")
@options.require_pins
@options.common
@click.pass_obj
def plan(
    session: Session,
    host: str,
    config: Path | None,
    versions: Path | None,
    bundle: Path | None,
    bundle_sha256: str | None,
    exit_code: bool,
    diff: bool,
    require_pins: bool,
) -> int:
    """Show what install would do, and why each value is what it is.

    \b
    binderbox plan host.example --diff
    """
    session.start("plan", host)

    from binderbox.cli.target import sources
    from binderbox.output.report.plan import render_plan
    from binderbox.output.requests import PlanRequest

    request = PlanRequest(
        session.connection(host), sources(host, config, versions, bundle, bundle_sha256), diff, require_pins
    )

    from binderbox.commands.plan import plan_host

    result = plan_host(request, session.progress)
    return session.answer(
        result,
        lambda style: render_plan(result, style, diff=diff),
        exit_code=6 if exit_code and result.changed else 0,
    )


@click.command()
@options.host_argument
@options.sources
@options.require_pins
@options.option(
    "--accept",
    multiple=True,
    metavar="NAME=SHA256",
    help="Decide about an artifact that its publisher states differently than before.",
)
@options.lock_wait
@options.yes
@options.option(
    "--yes-firewall",
    is_flag=True,
    help="Switch another firewall off (ufw, firewalld ...) by the lines that check BBX-H21 names.",
)
@options.common
@click.pass_obj
def install(
    session: Session,
    host: str,
    config: Path | None,
    versions: Path | None,
    bundle: Path | None,
    bundle_sha256: str | None,
    require_pins: bool,
    accept: tuple[str, ...],
    lock_wait: float,
    yes: bool,
    yes_firewall: bool,
) -> int:
    """Make the host a working member, and prove it with a launch.

    Ends with a repository that was never built before, built, launched and run. Killed anywhere, the same command
    continues; on a finished host it reports no change.

    \b
    binderbox install host.example
    """
    session.start("install", host)

    from binderbox.cli.target import accepted, sources
    from binderbox.output.report.install import render_install
    from binderbox.output.requests import InstallRequest

    request = InstallRequest(
        session.connection(host),
        sources(host, config, versions, bundle, bundle_sha256),
        lock_wait,
        require_pins,
        accepted(accept),
        yes_firewall,
    )

    from binderbox.commands.install import install as install_member

    result = install_member(request, session.progress, session.confirm(yes))
    return session.answer(result, lambda style: render_install(result, style))


@click.command()
@options.host_argument
@options.option("--purge", is_flag=True, help="Remove data, secrets and config as well.")
@options.lock_wait
@options.yes
@options.common
@click.pass_obj
def uninstall(session: Session, host: str, purge: bool, lock_wait: float, yes: bool) -> int:
    """Take binderbox off the host; data stays unless --purge.

    Works on half-made installs, and ends with a scan that must find nothing left over.

    \b
    binderbox uninstall host.example
    """
    session.start("uninstall", host)

    from binderbox.output.report.uninstall import render_uninstall
    from binderbox.output.requests import UninstallRequest

    request = UninstallRequest(session.connection(host), purge, lock_wait)

    from binderbox.commands.uninstall import uninstall as uninstall_member

    result = uninstall_member(request, session.progress, session.confirm(yes))
    return session.answer(result, lambda style: render_uninstall(result, style))
