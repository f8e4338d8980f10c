"""Which frontend a Dockerfile asks for, read as BuildKit reads it, and what becomes of the line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from binderbox.parts.builder.door import dockerfile
from binderbox.parts.builder.door.frontend import Asked, asked
from binderbox.parts.builder.door.refusal import Refused
from binderbox.parts.builder.engine import client
from binderbox.parts.builder.engine.client import DoorError

from .conftest import RunningDoor, make_header, tar_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"FROM scratch", None),
        (b"", None),
        (b"# syntax=docker/dockerfile:1\nFROM x", Asked("docker/dockerfile:1", 1)),
        (b"#syntax = docker/dockerfile:1 // options\r\nFROM x", Asked("docker/dockerfile:1", 1)),
        (b"# escape=`\n# SYNTAX=a/b\nFROM x", Asked("a/b", 2)),
        (b"#!/usr/bin/env x\n# syntax=a/b", Asked("a/b", 2)),
        (b"\xef\xbb\xbf# syntax=a/b", Asked("a/b", 1)),
        (b"// check=skip=all\n// syntax=a/b", Asked("a/b", 2)),
        (b'{"syntax": "a/b", "more": []}', Asked("a/b", 1)),
        (b'{"syntax": 1}', None),
        (b"# a comment\n# syntax=a/b", None),
        (b"\n# syntax=a/b", None),
        (b"FROM x\n# syntax=a/b", None),
        (b"# syntax=\xff\xfe", Asked("\ufffd\ufffd", 1)),
        (b"[" * 60_000, None),
    ],
)
def test_the_line_is_found_where_buildkit_finds_it(text: bytes, found: Asked | None) -> None:
    assert asked(text) == found


@pytest.mark.parametrize(
    ("image", "dockers", "labs"),
    [
        ("docker/dockerfile:1", True, False),
        ("docker.io/docker/dockerfile-upstream:master@sha256:0", True, False),
        ("mirror.gcr.io/docker/dockerfile:1.24", True, False),
        ("localhost:5000/docker/dockerfile", True, False),
        ("docker/dockerfile:1-labs", True, True),
        ("docker/dockerfile:experimental", True, True),
        ("dockerfile:experimental", False, True),
        ("notdocker/dockerfile:1", False, False),
        ("evil.example/frontend", False, False),
    ],
)
def test_dockers_own_frontends_are_known(image: str, dockers: bool, labs: bool) -> None:
    assert (Asked(image, 1).is_dockers, Asked(image, 1).is_labs) == (dockers, labs)


def test_a_dockerfile_is_read_in_its_context_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"# syntax=a/b")
    context = tmp_path / "context"
    (context / "binder").mkdir(parents=True)
    (context / "binder/Dockerfile").write_bytes(b"# syntax=a/b")
    (context / "link").symlink_to(tmp_path / "outside")
    (context / "up").symlink_to(tmp_path)
    (context / "around").symlink_to("around")
    (context / "binder/inside").symlink_to("../binder/Dockerfile")
    (context / "as-root").symlink_to("/binder/Dockerfile")
    (context / "beyond").symlink_to("../../../binder/Dockerfile")
    (context / "folder").symlink_to("binder")
    (context / "lower").mkdir()
    (context / "lower/dockerfile").write_bytes(b"# syntax=a/b")
    os.mkfifo(context / "pipe")
    there = (
        "binder/Dockerfile",
        "binder/inside",
        "as-root",
        "beyond",
        "folder/Dockerfile",
        "lower/Dockerfile",
    )
    assert {dockerfile.read(context, name) for name in there} == {b"# syntax=a/b"}, (
        "as BuildKit follows a link"
    )
    names = ("link", "up/outside", "pipe", "binder", "none", "around", "none/../x", "x" * 300, "a\0b")
    assert {dockerfile.read(context, name) for name in names} == {b""}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"#" * (10 << 20), "larger than 1024 kB"),
        (b"FROM x\n" + b"run true\n" * 501, "501 instructions that make layers"),
        (b"FROM x\n" + b"WORKDIR /a\n" * 90_000, "90001 lines"),
        (b"FROM x\n" + b"WORKDIR /a\n" * 900, "900 instructions that make layers"),
        (b"FROM x\n" + b"  COPY a b\n\tADD c d\n" * 300, "600 instructions that make layers"),
    ],
    ids=["10 MB", "runs", "many", "directories", "copies"],
)
def test_one_that_is_too_much_for_buildkit_is_refused_before_it_has_it(
    door: RunningDoor, text: bytes, words: str
) -> None:
    with pytest.raises(DoorError, match=words):
        list(client.build(make_header(), lambda send: sent(send, text), door.config.socket))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (".dockerignore", b"x" * (2 << 20), "larger than 1024 kB"),
        ("Dockerfile.dockerignore", b"a\n" * 30_000, "30000 lines"),
    ],
)
def test_so_is_a_list_of_what_is_ignored(door: RunningDoor, name: str, text: bytes, words: str) -> None:
    """BuildKit makes a pattern of each line."""
    with pytest.raises(DoorError, match=words):
        list(client.build(make_header(), lambda send: sent(send, b"say x", (name, text)), door.config.socket))


def test_one_behind_a_link_is_measured_too(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"FROM x\n" + b"RUN true\n" * 600)
    (tmp_path / "Dockerfile").symlink_to("real")
    with pytest.raises(Refused, match="600 instructions"):
        dockerfile.read(tmp_path, "Dockerfile")
    (tmp_path / "Dockerfile").unlink()
    (tmp_path / "real").rename(tmp_path / "dockerfile")
    with pytest.raises(Refused, match="600 instructions"):
        dockerfile.read(tmp_path, "Dockerfile")


def sent(send: Callable[[bytes], None], text: bytes, *more: tuple[str, bytes]) -> None:
    archive = tar_of(("Dockerfile", text), *more)
    for start in range(0, len(archive), 1 << 18):
        send(archive[start : start + (1 << 18)])


def test_a_line_for_dockers_frontend_is_ignored_and_the_log_says_so(door: RunningDoor) -> None:
    log = door.build("# syntax=docker/dockerfile:1.24\nsay built")
    assert log.splitlines()[0].startswith(
        "Line 1 of Dockerfile asks for the frontend docker/dockerfile:1.24; it was ignored"
    )
    assert log.endswith("built\n")


def test_another_frontend_is_refused_with_its_line_before_anything_is_built(door: RunningDoor) -> None:
    with pytest.raises(DoorError, match=r"line 2 of Dockerfile asks for the frontend evil\.example/x:1"):
        door.build("# escape=`\n# syntax=evil.example/x:1\nsay never")


def test_a_build_that_fails_for_want_of_labs_has_the_line_in_its_reason(door: RunningDoor) -> None:
    with pytest.raises(DoorError, match="What only docker/dockerfile:1-labs knows, for which line 1"):
        door.build(
            "# syntax=docker/dockerfile:1-labs\nsay error: failed to solve: unknown flag: parents\nfail 1"
        )
