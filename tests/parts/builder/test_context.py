"""A context of 2 GB on its way from the build pod to the door: neither holds it in its memory."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.parts.builder.test_on_host import REPOSITORIES, Node

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(600)]

CONTEXT_MB = 1_900  # below the door's own ceiling, 2048
POD_MB, DOOR_MB = 150, 100  # repo2docker alone has some 60, the door some 40
# The most that each process of these has ever had in its memory, in kB, of all that run now.
PEAKS = "for pid in $(pgrep -f '%s'); do grep VmHWM /proc/$pid/status; done 2>/dev/null || true"


@pytest.fixture
def node(installed_host: Installed) -> Iterator[Node]:
    node = Node(installed_host.host)
    node.repository("large", "RUN echo built-it")
    node.exec(f"truncate -s {CONTEXT_MB}M {REPOSITORIES}/large/data")
    node.exec(f"systemctl restart {layout.DOOR_UNIT}")  # it begins without a peak of its own
    yield node
    node.delete("build-large")
    node.exec(f"rm -rf {REPOSITORIES}/large")


def peak_mb(node: Node, words: str) -> float:
    return (
        max((int(one) for one in re.findall(r"VmHWM:\s+(\d+) kB", node.exec(PEAKS % words))), default=0)
        / 1000
    )


def test_it_is_packed_and_taken_in_pieces(node: Node) -> None:
    in_pod, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.3):
            in_pod.append(peak_mb(node, "^[^ ]*python[^ ]* .*jupyter-repo2docke[r]"))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        ended = node.build("large", 300)
    finally:
        over.set()
        watching.join()
    assert ended.phase == "Succeeded", ended.log
    told = node.until_told("build-started", repository="https://example.org/large")
    assert told[-1]["context_mb"] >= CONTEXT_MB
    door = peak_mb(node, "binderbox.parts.builder.doo[r]")
    print(
        f"    context {told[-1]['context_mb']} MB: at most {max(in_pod):.0f} MB in the pod, {door:.0f} MB in the door"
    )
    assert 0 < max(in_pod) < POD_MB
    assert 0 < door < DOOR_MB
