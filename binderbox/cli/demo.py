"""The commands for a throwaway host on this machine, with a member on it: demo up, demo down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from binderbox.cli import options
from binderbox.cli.session import Session

if TYPE_CHECKING:
    from binderbox.commands.demo import Demo
    from binderbox.world.containers import Engine

FIRST_IMAGE_S = 900  # pulls a base image and installs packages, over whatever line there is


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
    offline: bool,
    yes: bool,
) -> int:
    """Start a throwaway host, install a member on it, and launch a notebook.

    Needs a container engine on this machine. A demo host that runs already is used again.

    \b
    binderbox demo up
    """
    session.start("demo up", "demo")

    from binderbox.commands import demo as state

    site: dict[str, object] = {
        "egress_allow": [state.parse_egress(text) for text in egress_allow] or None,
        "extra_ca": [path.read_text(encoding="utf-8") for path in extra_ca] or None,
        "offline": offline or None,
    }
    running = _ensure_host(session, image, site)

    from binderbox.cli.target import sources
    from binderbox.commands.operate import install, launch
    from binderbox.output.results import Connection, InstallRequest, LaunchRequest

    connection = Connection(state.ALIAS, running.ssh_config)
    wanted = sources(state.ALIAS, running.member_file, bundle, bundle_sha256)
    installed = install(InstallRequest(connection, wanted), session.progress, session.confirm(yes))
    launched = launch(LaunchRequest(connection), session.progress)
    fields = {
        "host": state.ALIAS,
        "url": launched.url,
        "member": installed.url,
        "ssh_config": str(running.ssh_config),
    }
    told = f"""\
A notebook runs at
  {launched.url}
The member answers at {installed.url}; its certificate authority is its own, so a browser warns.

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

    from binderbox.commands import demo as state
    from binderbox.errors import UsageError
    from binderbox.world.containers import Engine

    try:
        found = state.read()
    except UsageError:
        found = None
    engine = Engine(found.engine_env if found else {})
    removed: dict[str, list[str]] = {}
    if found or engine.answers():  # without either, there is nothing to ask for
        engine.ensure_answers()
        removed = engine.remove_labelled(state.LABEL)
    state.forget()
    names = [f"{kind} {name}" for kind, found_names in removed.items() for name in found_names]
    told = "removed " + ", ".join(names) if names else "no demo host was there"
    return session.answer({"host": state.ALIAS, "removed": names}, lambda style: told)


def _ensure_host(session: Session, image: str | None, site: dict[str, object]) -> Demo:
    """The demo host: found running, started again, or made now."""
    from binderbox.commands import demo as state
    from binderbox.errors import UsageError
    from binderbox.world.containers import Engine

    found = state.read()
    engine = Engine(found.engine_env if found else {})
    engine.ensure_answers()
    there = engine.state(state.NAME)
    if there and not found:
        raise UsageError(
            f"a container {state.NAME} is there, and nothing here says how it was started",
            remedy="binderbox demo down   (removes it), then binderbox demo up",
        )
    wanted = found if found and there not in ("", "created") else _new_demo(image or state.IMAGE)
    given = any(site.values()) or not wanted.member_file.is_file()  # without options it stays as it was
    member_text = (
        state.render_member(wanted, site) if given else wanted.member_file.read_text(encoding="utf-8")
    )
    if wanted is not found:
        state.write(wanted, state.make_ssh_key())
        _make_host(session, engine, wanted)
    elif there != "running":
        session.progress.note(f"starting the demo host {state.NAME} again")
        engine.run("start", state.NAME)
    else:
        session.progress.note(f"the demo host {state.NAME} runs already")
    state.write_host_key(wanted, engine.wait_ready(state.NAME))
    wanted.member_file.write_text(member_text, encoding="utf-8")
    return wanted


def _new_demo(image: str) -> Demo:
    from binderbox.commands import demo as state
    from binderbox.world.containers import free_port

    return state.Demo(
        image=image,
        https_port=free_port(state.HTTPS_PORT),
        http_port=free_port(state.HTTP_PORT),
        ssh_port=free_port(state.SSH_PORT),
        docker_host=os.environ.get("DOCKER_HOST"),
    )


def _make_host(session: Session, engine: Engine, wanted: Demo) -> None:
    from importlib.resources import files

    from binderbox.commands import demo as state
    from binderbox.world.containers import HostSpec

    engine.remove_labelled(state.LABEL)  # what an interrupted start left
    if wanted.image == state.IMAGE:
        session.progress.note("building the host image from debian:12, usually 2 min")
        context = {
            name: (files("binderbox.world") / "demo_host" / name).read_bytes() for name in state.IMAGE_CONTEXT
        }
        engine.build(wanted.image, context, label=state.LABEL, timeout_s=FIRST_IMAGE_S)
    session.progress.note(f"starting the throwaway host {state.NAME}")
    engine.run("network", "create", "--label", state.LABEL, state.NAME)
    publish = (
        (wanted.https_port, wanted.https_port),
        (wanted.http_port, wanted.http_port),
        (wanted.ssh_port, 22),
    )
    spec = HostSpec(
        name=state.NAME,
        image=wanted.image,
        label=state.LABEL,
        network=state.NAME,
        publish=publish,
        files={"/root/.ssh/authorized_keys": (state.public_key(), 0o600)},
        resolv_conf=str(state.write_resolv_conf(engine.resolvers(wanted.image))),
    )
    engine.start_host(spec)
