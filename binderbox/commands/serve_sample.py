"""The sample repository, served from the host itself for as long as a launch needs it.

`git daemon` listens on the node's address on the pod bridge, so pods and BinderHub reach it and nobody else does;
the firewall's rule for its port is always there, the listener only here.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files

from binderbox import layout
from binderbox.errors import ConnectionLost, StepFailed
from binderbox.launch.sample import NAMES, REF, sample_texts, sample_url, serve_words, stop_words
from binderbox.world.host.hosts import Host

__all__ = ["REF", "served"]


@contextmanager
def served(host: Host, base_image: str, targets: Mapping[str, str], gateway: str) -> Iterator[str]:
    """The URL of a repository that was never built before: it holds a random file.

    Raises StepFailed when git on the host cannot serve it.
    """
    mark = secrets.token_hex(8)
    directory = f"{layout.RUN}/samples/{mark}"
    read = {name: (files("binderbox.launch") / "repository" / name).read_text() for name in NAMES}
    texts = sample_texts(read, base_image, targets, mark)
    try:
        for name, text in texts.items():
            host.write(f"{directory}/{name}", text.encode(), 0o644)
        output = host.run(serve_words(directory, gateway), timeout_s=60)
        if output.code:
            raise StepFailed(
                f"{host.name}: the sample repository could not be served",
                cause=output.stderr.decode(errors="replace").strip(),
                remedy=f"free port {layout.SAMPLE_PORT} on {gateway}, or name a repository: binderbox launch {host.name} URL",
            )
        yield sample_url(directory, gateway)
    finally:
        with suppress(ConnectionLost):  # the unit ends by itself, and /run is emptied by the next boot
            host.run(stop_words(directory), timeout_s=30)
