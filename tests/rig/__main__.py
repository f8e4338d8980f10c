"""The rig by hand: `python -m tests.rig host up`, and what `make demo` runs."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from binderbox.commands import demo_files as demo_state
from tests.rig import demo_authority
from tests.rig.client import PROGRAM, bundle_options
from tests.rig.egress import site_options
from tests.rig.engine import HOST_URL, NoEngine, docker, ensure_engine, stop_engine
from tests.rig.host import ROOT, VOLUNTEER, VOLUNTEER_WITH_PASSWORD, RigHost, clean
from tests.rig.hostimage import host_image, registry_reachable
from tests.rig.vm import clean_vms

BY_HAND = "hand"  # the run that hosts started here belong to
ACCOUNTS = {"root": ROOT, "volunteer": VOLUNTEER, "volunteer-with-password": VOLUNTEER_WITH_PASSWORD}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rig", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    host = commands.add_parser("host", help="start or remove bare hosts")
    host.add_argument("what", choices=["up", "down"])
    host.add_argument("--name", help="up: its name (host, if none is given); down: only this one")
    host.add_argument("--release", default="bookworm", help="Debian's or Ubuntu's code name")
    host.add_argument("--account", default="root", choices=ACCOUNTS)
    engine = commands.add_parser("engine", help="start or stop the rig's own container engine")
    engine.add_argument("what", choices=["up", "down"])
    commands.add_parser("clean", help="remove every host of the rig, and its engine")
    demo = commands.add_parser("demo", help="bundle, host image and `binderbox demo up`")
    demo.add_argument(
        "--tls", default="own-ca", choices=["own-ca", "acme"], help="acme: certificates of a Pebble"
    )
    commands.add_parser("demo-down", help="`binderbox demo down`, and the engine if nothing else is in it")
    arguments = parser.parse_args(argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except NoEngine as reason:
        print(reason, file=sys.stderr)
        return 1


def _host(arguments: argparse.Namespace) -> int:
    if arguments.what == "down" and arguments.name:
        RigHost.found(arguments.name, run_id=BY_HAND).stop()
        return 0
    if arguments.what == "down":
        return _report_removed(clean(BY_HAND))
    account = ACCOUNTS[arguments.account]
    host = RigHost.start(arguments.name or "host", run_id=BY_HAND, account=account, release=arguments.release)
    print(f"ssh -F {host.ssh_config} {host.alias}")
    print(f"export BINDERBOX_SSH_CONFIG={host.ssh_config}   # then: binderbox check {host.alias}")
    return 0


def _engine(arguments: argparse.Namespace) -> int:
    if arguments.what == "down":
        return _stop_engine()
    for name, value in ensure_engine().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _clean(_arguments: argparse.Namespace) -> int:
    _demo_down(_arguments)
    _report_removed(clean())
    for name in clean_vms():
        print(f"removed virtual machine {name}")
    return _stop_engine()


def _demo(arguments: argparse.Namespace) -> int:
    """What is installed comes from the rig's bundle; where a registry can be reached, that bundle is official."""
    env = os.environ | ensure_engine()
    image = [] if registry_reachable() else ["--image", host_image()]
    command = [PROGRAM, "demo", "up", *image, *site_options(), *bundle_options(), "--yes"]
    if arguments.tls == "own-ca":
        return subprocess.run(command, env=env, check=False).returncode
    vouching = demo_authority.start(_bridge_address(env))
    code = subprocess.run([*command, *vouching.options], env=env, check=False).returncode
    print(f"A browser that trusts {vouching.root} does not warn.")
    return code


def _bridge_address(env: dict[str, str]) -> str:
    """This machine, as every container of the engine reaches it."""
    return docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}", env=env)


def _demo_down(_arguments: argparse.Namespace) -> int:
    if _engine_of_ours_is_off() and demo_state.read() is None:
        print("no demo host was there")
        return 0
    env = os.environ | ensure_engine()
    code = subprocess.run([PROGRAM, "demo", "down"], env=env, check=False).returncode
    demo_authority.stop()
    stop_engine()
    return code


def _engine_of_ours_is_off() -> bool:
    return not Path(HOST_URL.removeprefix("unix://")).exists()


def _stop_engine() -> int:
    if stop_engine():
        return 0
    print("the engine goes on: containers are left in it (python -m tests.rig clean)", file=sys.stderr)
    return 1


def _report_removed(removed: dict[str, list[str]]) -> int:
    for kind, names in removed.items():
        print(f"removed {kind} {' '.join(names)}")
    if not removed:
        print("no host was there")
    return 0


COMMANDS = {"host": _host, "engine": _engine, "clean": _clean, "demo": _demo, "demo-down": _demo_down}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
