"""An image is launched from the snapshots in which BuildKit built it: it is what its layers say, outlives a prune of BuildKit's
cache, and goes when it goes, whichever comes first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from binderbox import layout
from binderbox.parts.builder import settings as builder
from tests.conftest import Installed
from tests.parts.builder.test_on_host import Node, tag_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

CTR = f"{layout.K3S} ctr -n k8s.io"
BUILDCTL = f"{layout.BIN}/buildctl --addr unix://{layout.BUILDKIT_SOCKET}"
# What a layer's archive has words of its own for.
ODD = """\
USER root
COPY . /srv/copied/
RUN mkdir -p /srv/opaque/old && echo old >/srv/opaque/old/file && ln /srv/copied/words /srv/linked \\
    && ln -s nowhere /srv/dangling && ln -s copied/words /srv/relative && mkfifo /srv/pipe && chmod 4755 /srv/copied/words \\
    && touch -d @12345.678 /srv/copied/words && chown 1234:5678 /srv/linked && truncate -s 1M /srv/sparse && ls -lR /srv
RUN rm -r /srv/opaque && mkdir -m 2755 /srv/opaque && echo new >/srv/opaque/file && rm /srv/dangling && mv /srv/relative /srv/moved
RUN python3 -c "import os, struct; os.setxattr('/srv/sparse', 'security.capability', struct.pack('<5I', 0x2000001, 0x2000, 0, 0, 0))"
"""
LIST = """\
import hashlib, json, os, stat, subprocess, sys
name = "look-" + str(os.getpid())
ctr = [*sys.argv[2].split(), "snapshots"]
mount = subprocess.run([*ctr, "view", "--target", "/run/look", name, sys.argv[1]], check=True, capture_output=True, text=True).stdout
os.makedirs("/run/look", exist_ok=True)
subprocess.run(["sh", "-ec", mount], check=True)
found = {}
for place, directories, files in os.walk("/run/look/srv"):
    for one in [place, *(os.path.join(place, name) for name in (*directories, *files))]:
        is_ = os.lstat(one)
        attributes = {each: os.getxattr(one, each, follow_symlinks=False).hex() for each in os.listxattr(one, follow_symlinks=False)}
        said = [stat.filemode(is_.st_mode), is_.st_uid, is_.st_gid, int(is_.st_mtime), attributes]  # archives have whole seconds
        if stat.S_ISREG(is_.st_mode):
            said += [is_.st_size, hashlib.sha256(open(one, "rb").read()).hexdigest()]
        if stat.S_ISLNK(is_.st_mode):
            said.append(os.readlink(one))
        found[one] = said
subprocess.run(["umount", "/run/look"], check=True)
subprocess.run([*ctr, "remove", name], check=True)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def node(installed_host: Installed) -> Iterator[Node]:
    node = Node(installed_host.host)
    yield node
    node.delete_all()
    node.exec(f"{CTR} images ls -q | grep /i-test-2dodd | xargs -r {CTR} images rm >/dev/null")


def content(node: Node, digest: str) -> Any:
    return json.loads(node.exec(f"{CTR} content get {digest} 2>/dev/null"))


def config_of(node: Node) -> str:
    rows = node.exec(f"{CTR} images ls 'name=={tag_of('odd')}' 2>/dev/null").splitlines()[1:]
    return str(content(node, rows[0].split()[2])["config"]["digest"])


def chain(node: Node) -> str:
    """The name of the snapshot from which the image is launched, as its config's label has it."""
    labels = node.exec(f"{CTR} content ls 2>/dev/null | grep ^{config_of(node)}")
    return labels.rpartition("gc.ref.snapshot.overlayfs=")[2].split(",")[0].strip()


def snapshots(node: Node) -> dict[str, str]:
    """Those that are there, with their parents."""
    rows = [row.split() for row in node.exec(f"{CTR} snapshots ls 2>/dev/null").splitlines()[1:]]
    return {row[0]: row[1] if len(row) == 3 else "" for row in rows}


def tree(node: Node, name: str) -> dict[str, Any]:
    shown = node.host.exec(["python3", "-", name, CTR], stdin=LIST.encode())
    found: dict[str, Any] = json.loads(shown.splitlines()[-1])
    return found


def build(node: Node) -> list[dict[str, Any]]:
    """Build it, and return what was told of an ordinary unpack."""
    before = len(node.events("build-ended"))
    ended = node.build("odd")
    assert ended.phase == "Succeeded", ended.log
    node.until_told("build-ended", before, tag=tag_of("odd"))
    node.until_told("pushed", within_s=60, tag=tag_of("odd"))
    node.delete("build-odd")
    return [one for one in node.events("unpacks") if one["tag"] == tag_of("odd")]


def forget(node: Node) -> None:
    """Its image goes with the name that the kubelet has for it, as in the kubelet's collection."""
    node.exec(f"{CTR} images rm --sync {tag_of('odd')} {config_of(node)} 2>/dev/null")


def launch(node: Node, name: str) -> list[str]:
    run = [
        f"--image={tag_of('odd')}",
        "--restart=Never",
        "--labels=binderbox-test=builder",
        "--image-pull-policy=Never",
    ]
    node.kubectl("run", name, *run, "--command", "--", "cat", "/srv/copied/words", "/srv/opaque/file")
    node.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    said = node.kubectl("logs", name).split()
    node.delete(name)
    return said


def settled(node: Node, name: str) -> None:
    info = f"{CTR} snapshots info {name} 2>/dev/null"
    wait_until(lambda: "containerd.io/gc.root" not in node.exec(info), 60, "what was made is containerd's")


def test_it_is_launched_from_what_was_built_and_goes_with_its_image(node: Node) -> None:
    node.repository("odd", ODD, words="hello\n")
    assert build(node) == []
    name = chain(node)
    below = snapshots(node)[name]
    assert not below.startswith("sha256:"), "its parent is BuildKit's own"
    assert launch(node, "user-odd") == ["hello", "new"]
    settled(node, name)
    node.exec(f"{BUILDCTL} prune --all >/dev/null")
    assert launch(node, "user-odd-again") == ["hello", "new"]
    forget(node)
    wait_until(lambda: not {name, below} & snapshots(node).keys(), 60, "nothing else holds it")


@pytest.mark.long
def test_it_is_the_tree_that_its_layers_say(node: Node) -> None:
    """Made again from what BuildKit has of it; and then, without BuildKit's records, written a second time by BuildKit."""
    node.repository("odd", ODD, words="hello\n")
    assert build(node) == []
    name = chain(node)
    settled(node, name)
    forget(node)
    wait_until(lambda: name not in snapshots(node), 60, "it has gone with its image")
    assert build(node) == []
    assert chain(node) == name
    assert launch(node, "user-odd-cached") == ["hello", "new"]
    built = tree(node, name)
    settled(node, name)
    forget(node)
    wait_until(lambda: name not in snapshots(node), 60, "it has gone with its image")

    config = json.loads(node.exec(f"cat {builder.DOOR_CONFIG}"))
    put = f"cat >{builder.DOOR_CONFIG}; systemctl restart {layout.DOOR_UNIT}"
    node.exec(put, json.dumps(config | {"buildkit_records": "/nowhere"}).encode())
    try:
        (told,) = build(node)
    finally:
        node.exec(put, json.dumps(config, indent=1).encode())
    assert "/nowhere" in told["fault"]
    assert chain(node) == name
    assert snapshots(node)[name].startswith("sha256:"), "its parent is the layer below it"
    assert tree(node, name) == built
    assert built["/run/look/srv/sparse"][4] == {
        "security.capability": "0100000200200000000000000000000000000000"
    }
    assert "/run/look/srv/opaque/old" not in built
