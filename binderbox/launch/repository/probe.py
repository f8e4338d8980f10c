"""Print, as JSON, which of the targets in a file can be opened from here: {"name": true or "the error"}."""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

TIMEOUT_S = 3
NO_RECORD = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def answered(name: str) -> bool | str:
    """True when somebody answers for a name, though it be that there is none, else the error's text."""
    try:
        socket.getaddrinfo(f"{name}.", None)
    except socket.gaierror as error:
        return error.errno in NO_RECORD or str(error)
    return True


def reach(target: str) -> bool | str:
    """True when the target ("host:port", "dns:NAME", "unseen:NAME", "unix:PATH") answers, else the error's text."""
    try:
        if target.startswith("dns:"):
            socket.getaddrinfo(target[4:], None)
        elif target.startswith("unseen:"):
            return answered(target[7:])
        elif target.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(TIMEOUT_S)
                client.connect(target[5:])
        else:
            host, port = target.rsplit(":", 1)
            socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_S).close()
    except OSError as error:
        return str(error) or type(error).__name__
    return True


def main(path: str) -> None:
    with open(path) as file:
        targets = json.load(file)
    with ThreadPoolExecutor(len(targets)) as pool:
        print(json.dumps(dict(zip(targets, pool.map(reach, targets.values())))))  # noqa: B905  # older Pythons too


if __name__ == "__main__":
    main(sys.argv[1])
