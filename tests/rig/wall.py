"""A site's wall: a host may reach this machine's proxy and resolver, and what it tries besides is refused and counted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.waiting import wait_until

SQUID = Path("/usr/sbin/squid")
PORT = 3128
RULES = """
table ip {table} {{
    counter tried {{ }}
    set places {{ type ipv4_addr . inet_proto . inet_service; flags dynamic; size 1024; }}
    chain in {{
        type filter hook input priority -10; policy accept;
        ip saddr {host} jump from_host
    }}
    chain through {{
        type filter hook forward priority -10; policy accept;
        ip saddr {host} jump from_host
    }}
    chain from_host {{
        ct state established,related return
        tcp flags & (syn | ack) != syn return # of a connection that somebody else began
        ip daddr {here} tcp dport {{ 53, {port} }} return
        ip daddr {here} udp dport 53 return
        ip daddr {here} icmp type echo-request return
        update @places {{ ip daddr . ip protocol . th dport }}
        counter name tried reject
    }}
}}
"""
CONFIG = """
http_port {here}:{port}
dns_nameservers {here}
acl CONNECT method CONNECT
{auth}
http_access deny all
cache deny all
pid_filename {home}/squid.pid
cache_log {home}/cache.log
access_log stdio:{home}/access.log
coredump_dir {home}
cache_effective_user proxy
shutdown_lifetime 1 seconds
"""
LOGIN = """
auth_param basic program /usr/lib/squid/basic_ncsa_auth {home}/users
acl known proxy_auth REQUIRED
http_access allow known
"""


class Wall:
    """Made with `with`, between a host and everything but squid at `here`, which asks the resolver at `here`.

    `login` is `user:password`, for a proxy that wants one. `tried` counts packets that were refused.
    """

    def __init__(self, host: str, here: str, login: str = "") -> None:
        self.host, self.here, self.login = host, here, login
        self.url = f"http://{here}:{PORT}"
        self._table = f"wall-{os.getpid()}"

    def __enter__(self) -> Self:
        # squid leaves root, so its folder must not lie below one of root's
        self.home = Path(tempfile.mkdtemp(prefix="rig-wall-"))
        self.home.chmod(0o777)
        auth = "http_access allow all"
        if self.login:
            auth = LOGIN.format(home=self.home)
            user, _, password = self.login.partition(":")
            made = subprocess.run(
                ["openssl", "passwd", "-apr1", password], check=True, capture_output=True, text=True
            )
            (self.home / "users").write_text(f"{user}:{made.stdout}")
        config = self.home / "squid.conf"
        config.write_text(CONFIG.format(here=self.here, port=PORT, home=self.home, auth=auth))
        subprocess.run([SQUID, "-f", config], check=True)
        wait_until(self._listens, 20, "squid")
        rules = RULES.format(table=self._table, host=self.host, here=self.here, port=PORT)
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["nft", "delete", "table", "ip", self._table], check=False)
        subprocess.run([SQUID, "-f", self.home / "squid.conf", "-k", "kill"], check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.here, PORT), 1):
            return True
        return False

    @property
    def tried(self) -> int:
        words = ["nft", "-j", "list", "counter", "ip", self._table, "tried"]
        told: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
        (found,) = (one["counter"] for one in told["nftables"] if "counter" in one)
        return int(found["packets"])

    @property
    def places(self) -> str:
        """What was tried, for people who read why a test failed."""
        return subprocess.run(
            ["nft", "list", "set", "ip", self._table, "places"], check=True, capture_output=True, text=True
        ).stdout

    @property
    def log(self) -> str:
        return (self.home / "access.log").read_text()
