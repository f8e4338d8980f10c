from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from binderbox.parts.builder.door.command import build_command
from binderbox.parts.builder.door.pods import Permit
from binderbox.parts.builder.door.refusal import Refused
from binderbox.parts.builder.door.request import parse_request
from binderbox.parts.builder.door.workplace import Workplaces
from binderbox.parts.builder.engine import wire

from .conftest import PLACE, TAG, make_config, make_header

PERMIT = Permit("build-x", "uid", "https://example.org/demo.git", TAG)


def _parse(**changes: Any) -> Any:
    return parse_request({"protocol": wire.PROTOCOL, **make_header(**changes)}, TAG, "linux/amd64")


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("protocol", {"protocol": 1}),
        ("other-tag", {"tag": TAG + "0"}),
        ("other-tag", {"tag": "docker.io/library/traefik:v3"}),
        ("other-tag", {"tag": None}),
        ("platform", {"platform": "linux/arm64"}),
        ("platform", {"platform": ["linux/amd64"]}),
        ("dockerfile", {"dockerfile": "../Dockerfile"}),
        ("dockerfile", {"dockerfile": "/etc/passwd"}),
        ("dockerfile", {"dockerfile": "a/../.."}),
        ("dockerfile", {"dockerfile": ""}),
        ("dockerfile", {"dockerfile": "a\nb"}),
        ("dockerfile", {"dockerfile": 7}),
        ("header", {"buildargs": ["NB_USER"]}),
        ("header", {"buildargs": {"BUILDKIT_SYNTAX": "evil.example/frontend"}}),
        ("header", {"buildargs": {"buildkit_cache_mount_ns": "other"}}),
        ("header", {"buildargs": {"A=x --opt cgroup-parent": "/"}}),
        ("header", {"buildargs": {"A": 1}}),
        ("header", {"buildargs": {"A": "\0"}}),
        ("header", {"buildargs": {"A": "x" * 20_000}}),
        ("header", {"labels": {f"l{n}": "" for n in range(101)}}),
        ("header", {"labels": {"a=b": ""}}),
        ("header", {"labels": None}),
    ],
)
def test_a_request_that_reaches_further_than_a_build_is_refused(reason: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        _parse(**changes)
    assert refused.value.reason == reason


def test_the_caller_chooses_dockerfile_arguments_and_labels_and_the_door_the_rest(state: Any) -> None:
    request = _parse(
        dockerfile="./binder/Dockerfile",
        buildargs={"NB_UID": "1000", "NB_USER": "jovyan"},
        labels={"repo2docker.repo": "https://example.org/?a=b,cgroup-parent=/"},
        platform="linux/amd64",
    )
    command = build_command(make_config(state), PERMIT, request, PLACE, "mark.invalid")
    assert command[1:] == [
        "--addr",
        "unix:///nowhere.sock",
        "build",
        "--progress=plain",
        "--frontend=dockerfile.v0",
        "--opt=cmdline=dockerfile.v0",
        "--local=context=/c",
        "--local=dockerfile=/c",
        "--opt=filename=binder/Dockerfile",
        "--opt=build-arg:no_proxy=mark.invalid",
        "--opt=build-arg:NB_UID=1000",
        "--opt=build-arg:NB_USER=jovyan",
        "--opt=label:repo2docker.repo=https://example.org/?a=b,cgroup-parent=/",
        "--opt=platform=linux/amd64",
        "--opt=image-resolve-mode=local",
        "--opt=build-arg:BUILDKIT_CACHE_MOUNT_NS=0391c93a1d561625c385352f9b5b1f15",
        f"--output=type=image,name={TAG},unpack=false,push=false,oci-mediatypes=true,compression=zstd,compression-level=1",
        "--metadata-file=/m",
        "--trace=/t",
    ]


def test_build_steps_are_told_of_the_sites_proxy_unless_the_repository_says_another(state: Any) -> None:
    config = replace(make_config(state), step_proxy=("https_proxy=http://proxy.example.edu:3128",))
    command = build_command(config, PERMIT, _parse(buildargs={"https_proxy": ""}), PLACE, "mark.invalid")
    told = [word for word in command if "https_proxy" in word]
    assert told == [
        "--opt=build-arg:https_proxy=http://proxy.example.edu:3128",
        "--opt=build-arg:https_proxy=",
    ]


def test_the_operators_account_is_buildctls_and_nothing_of_it_is_in_the_context(
    state: Any, tmp_path: Path
) -> None:
    login = tmp_path / "login"
    login.write_text("user:to:ken\n")
    for file, names in ((login, ["config.json"]), (tmp_path / "none", [])):
        places = Workplaces(replace(make_config(state), docker_login_file=str(file)))
        places.clear()
        with places.one() as place:
            assert [one.name for one in place.home.iterdir()] == names
            assert list(place.context.iterdir()) == []
            if names:
                auths = json.loads((place.home / "config.json").read_text())["auths"]
                assert {host: base64.b64decode(one["auth"]) for host, one in auths.items()} == {
                    "https://index.docker.io/v1/": b"user:to:ken"
                }


def test_cache_mounts_are_a_commits_own(state: Any) -> None:
    """GitHub shows a fork's commit under its parent's address, too."""

    def namespace(tag: str) -> str:
        permit = Permit("p", "u", "https://github.com/popular/demo", tag)
        command = build_command(make_config(state), permit, _parse(), PLACE, "mark.invalid")
        return next(word for word in command if "CACHE_MOUNT_NS" in word)

    assert namespace(TAG) == namespace(TAG)
    assert namespace(TAG) != namespace(f"{TAG[:-1]}0")
