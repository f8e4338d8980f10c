#!/usr/bin/python3 -IB
"""A CNI plugin, the last of the builds' network: the node knows the link address of each step for good.

A permanent neighbour is not learned anew from what a step says by ARP, so no step can take another's answers. Standard
library and `ip` alone; the protocol is CNI 1.0.0's, by environment, stdin and stdout.

-B: containerd runs it with an umask of 0, and what Python compiled of its own library would be everybody's to write.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

VERSIONS = {"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}


def main() -> int:
    command = os.environ.get("CNI_COMMAND", "")
    if command == "VERSION":
        print(json.dumps(VERSIONS))
        return 0
    config = json.load(sys.stdin)
    result = config.get("prevResult") or {}
    if command == "ADD":
        try:
            for address, link in neighbours(result):
                ip(["replace", address, "lladdr", link, "dev", config["bridge"], "nud", "permanent"])
        except (subprocess.CalledProcessError, OSError, KeyError) as error:
            print(json.dumps({"cniVersion": "1.0.0", "code": 100, "msg": f"neighbour: {error}"}))
            return 1
        print(json.dumps(result))
    if command == "DEL":
        for address, _ in neighbours(result):
            ip(["delete", address, "dev", config["bridge"]], must=False)
    return 0


def neighbours(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(address, link address) of what the bridge gave to a namespace."""
    interfaces = result.get("interfaces") or []
    for one in result.get("ips") or []:
        index = one.get("interface")
        inside = interfaces[index] if isinstance(index, int) and index < len(interfaces) else {}
        if inside.get("sandbox") and inside.get("mac"):
            yield str(one["address"]).partition("/")[0], str(inside["mac"])


def ip(words: list[str], must: bool = True) -> None:
    subprocess.run(["ip", "neigh", *words], check=must, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
