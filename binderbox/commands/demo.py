"""The demo: a throwaway host on this machine, started and removed with everything that was made for it."""

from __future__ import annotations

import os
from importlib.resources import files

from binderbox.commands import demo_files as state
from binderbox.commands.demo_files import Demo
from binderbox.errors import UsageError
from binderbox.output.progress import Progress
from binderbox.world.containers import Engine, HostSpec, free_port

FIRST_IMAGE_S = 900  # pulls a base image and installs packages, over whatever line there is


def ensure_host(progress: Progress, image: str | None, site: dict[str, object]) -> Demo:
    """The demo host: found running, started again, or made now."""
    found = state.read()
    engine = Engine(found.engine_env if found else {})
    engine.ensure_answers()
    there = engine.state(state.NAME)
    if there and not found:
        raise UsageError(
            f"a container {state.NAME} is there, and nothing here says how it was started",
            remedy="binderbox demo down   (removes it), then binderbox demo up",
        )
    acme = bool(site.get("acme_server"))
    wanted = found if found and there not in ("", "created") else _new_demo(image or state.IMAGE, acme)
    if acme and (wanted.https_port, wanted.http_port) != state.ACME_PORTS:
        raise UsageError(
            f"the demo host {state.NAME} has port {wanted.http_port}, and an authority proves a domain at port 80",
            remedy="binderbox demo down   (removes it), then binderbox demo up --acme-server URL",
        )
    given = any(site.values()) or not wanted.member_file.is_file()  # without options it stays as it was
    member_text = (
        state.render_member(wanted, site) if given else wanted.member_file.read_text(encoding="utf-8")
    )
    if wanted is not found:
        state.write(wanted, state.make_ssh_key())
        _make_host(progress, engine, wanted)
    elif there != "running":
        progress.note(f"starting the demo host {state.NAME} again")
        engine.run("start", state.NAME)
    else:
        progress.note(f"the demo host {state.NAME} runs already")
    state.write_host_key(wanted, engine.wait_ready(state.NAME))
    wanted.member_file.write_text(member_text, encoding="utf-8")
    return wanted


def _new_demo(image: str, acme: bool) -> Demo:
    """One on ports that are free; for an authority they must be those at which it asks."""
    wanted = state.ACME_PORTS if acme else (state.HTTPS_PORT, state.HTTP_PORT)
    https_port, http_port = map(free_port, wanted)
    if acme and (https_port, http_port) != wanted:
        raise UsageError(
            "ports 443 and 80 of this machine cannot both be had, and an authority proves a domain there",
            remedy="binderbox demo up   (other ports, and an authority of its own)",
        )
    return state.Demo(
        image=image,
        https_port=https_port,
        http_port=http_port,
        ssh_port=free_port(state.SSH_PORT),
        docker_host=os.environ.get("DOCKER_HOST"),
    )


def _make_host(progress: Progress, engine: Engine, wanted: Demo) -> None:

    engine.remove_labelled(state.LABEL)  # what an interrupted start left
    if wanted.image == state.IMAGE:
        progress.note("building the host image from debian:12, usually 2 min")
        context = {
            name: (files("binderbox.world") / "demo_host" / name).read_bytes() for name in state.IMAGE_CONTEXT
        }
        engine.build(wanted.image, context, label=state.LABEL, timeout_s=FIRST_IMAGE_S)
    progress.note(f"starting the throwaway host {state.NAME}")
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


def remove_host() -> list[str]:
    """Remove the demo host and all that carries its label, and forget it; the names of what went."""
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
    return [f"{kind} {name}" for kind, names in removed.items() for name in names]
