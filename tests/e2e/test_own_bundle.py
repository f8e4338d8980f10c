"""A bundle that somebody makes from the Internet installs a host that reaches nobody but its site's own resolver."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands.bundle.scene import Scene
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import use_resolver
from tests.rig.client import Client, render_member
from tests.rig.host import RigHost
from tests.rig.internet.names import Names
from tests.rig.internet.world import World

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1800)]
ADDRESS = "127.0.118.1"
TABLE = "bbxcut"


@contextmanager
def cut_off(host: RigHost) -> Iterator[None]:
    """This machine forwards nothing for the host, and answers it nothing but its ssh, and names."""
    rules = f"""table ip {TABLE} {{
        chain forward {{ type filter hook forward priority -200; ip saddr {host.address} counter drop; }}
        chain input {{
            type filter hook input priority -200;
            ip saddr {host.address} meta l4proto {{ tcp, udp }} th dport 53 accept
            ip saddr {host.address} ct state new counter drop
        }}
    }}"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "ip", TABLE], check=True)


@contextmanager
def names(address: str) -> Iterator[None]:
    """A resolver that knows no name, and says so."""
    server = Names(address, {})
    server.start()
    try:
        yield
    finally:
        server.close()


@pytest.mark.parametrize("pinned", [True, False])
def test_a_host_that_reaches_nobody_is_installed(
    rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, pinned: bool
) -> None:
    with World(ADDRESS, tmp_path_factory.mktemp("internet")) as internet:
        scene = Scene(internet, tmp_path, ADDRESS)
        scene.versions.write_text(internet.versions(pinned=pinned))
        made = scene.create("--no-require-pins")
    assert scene.verify()
    host, client = RigHost.start(f"cut-{pinned}".lower()), Client(tmp_path)
    try:
        use_resolver(host, gateway(host))
        with cut_off(host), names(gateway(host)):
            config = tmp_path / "member.yaml"
            config.write_text(render_member({"egress_allow": None, "extra_ca": None}))
            words = ["--config", str(config), "--bundle", str(scene.directory), "--yes", "--json"]
            words += ["--versions", str(scene.versions)]
            # what is pinned needs nobody's word; the rest needs the digest of the bundle's lock
            if not pinned:
                refused = client.binderbox(host, "install", *words).must(4).result["error"]
                assert f"--bundle-sha256 {made['lock_sha256']}" in refused["remedy"]
                words += ["--bundle-sha256", made["lock_sha256"]]
            assert client.binderbox(host, "install", *words).must().result["launches"]
            assert client.binderbox(host, "install", *words).must().result["changed"] == []
    finally:
        host.stop()
