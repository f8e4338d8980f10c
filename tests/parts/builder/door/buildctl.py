#!/usr/bin/env python3
"""Stands for buildctl where a test is about the door's handling of a process: obeys the context's Dockerfile.

One word a line: `say TEXT`, `flood LINES`, `sleep SECONDS`, `stubborn` (ignores SIGTERM), `fail CODE`,
`show FILE` (prints a file of the context), `wait-for FILE` (of this machine), `gone-once FILE` (fails as long as that
file is not there, and makes it). Each is a vertex of the trace, and its log stands there too, as the real one's does.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

given = dict(word.split("=", 1) for word in sys.argv if word.startswith("--") and "=" in word)
context = Path(next(word.removeprefix("--local=context=") for word in sys.argv if "--local=context=" in word))
name = next(word.removeprefix("--opt=filename=") for word in sys.argv if word.startswith("--opt=filename="))

trace = os.open(given["--trace"], os.O_RDWR | os.O_CREAT, 0o600)  # as Go's os.OpenFile is told to


def tell(**what: object) -> None:
    os.write(trace, json.dumps(what, separators=(",", ":")).encode() + b"\n")


def now() -> str:
    seconds, rest = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


tell(vertexes=[{"digest": "0", "name": "[internal] load build definition"}])
for line in (context / name).read_text().splitlines():
    verb, _, rest = line.partition(" ")
    began = {"digest": line, "name": line, "started": now()}
    tell(vertexes=[began])
    tell(logs=[{"vertex": line, "data": "eA==" * 20_000}])
    if verb == "say":
        print(rest, flush=True)
    elif verb == "flood":
        for number in range(int(rest)):
            print(f"line {number} " + "x" * 100)
    elif verb == "sleep":
        time.sleep(float(rest))
    elif verb == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif verb == "show":
        print((context / rest).read_text(), flush=True)
    elif verb == "wait-for":
        while not Path(rest).exists():
            time.sleep(0.02)
    elif verb == "gone-once":  # as when buildkitd is killed under it
        if not Path(rest).exists():
            Path(rest).touch()
            print(
                "error: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF"
            )
            sys.exit(1)
    elif verb == "fail":
        sys.exit(int(rest))
    tell(vertexes=[began | {"completed": now()}])
Path(given["--metadata-file"]).write_text(json.dumps({"containerimage.digest": "sha256:" + "0" * 64}))
