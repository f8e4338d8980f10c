from __future__ import annotations

import configparser
import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.deploys.builder import door_tree, engine_tree
from binderbox.deploys.travelling import LIBRARIES
from binderbox.member.model import EgressAllow, Mirror, Networks
from binderbox.parts.builder import network
from binderbox.parts.builder import settings as builder
from binderbox.parts.builder import units as builder_units
from binderbox.parts.builder.door.config import parse_config
from binderbox.parts.builder.settings import BuilderInputs

INPUTS = BuilderInputs(
    buildkit=Artifact("buildkit", "tar", "0" * 64, "source", "v0.32.2", file="buildkit.tar.gz"),
    bundle=None,
    data_dir="/srv/box",
    platform="linux/amd64",
    build_slots=3,
    build_memory_gb=8,
    build_step_memory_gb=6,
    cache_reserved_gb=2.5,
    cache_max_gb=10,
    cache_min_free_gb=4.2,
    free_floor_gb=4.9,
    free_ceiling_gb=5.6,
    images_free_gb=6.0,
    eviction_gb=1.7,
    pins_gb=8,
    pins=1000,
    networks=Networks(),
    resolvers=("192.0.2.53",),
    egress_allow=(EgressAllow(network="198.51.100.0/24", ports=(5000, 443)),),
    node_addresses=("203.0.113.9",),
)


def test_mirrors_are_buildkits_too_and_plain_ones_are_marked() -> None:
    assert "registry" not in tomllib.loads(builder.render_buildkitd(INPUTS))
    mirrors = (
        Mirror(registry="docker.io", endpoints=("https://a.example.edu", "http://b.example.edu:5000")),
        Mirror(registry="quay.io", endpoints=("http://b.example.edu:5000",)),
    )
    assert tomllib.loads(builder.render_buildkitd(replace(INPUTS, mirrors=mirrors)))["registry"] == {
        "docker.io": {"mirrors": ["a.example.edu", "b.example.edu:5000"]},
        "quay.io": {"mirrors": ["b.example.edu:5000"]},
        "b.example.edu:5000": {"http": True},
    }


def _unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_builds_run_on_the_kubelets_containerd_and_on_a_network_of_their_own() -> None:
    config = tomllib.loads(builder.render_buildkitd(INPUTS))
    worker = config["worker"]["containerd"]
    assert config["worker"]["oci"] == {"enabled": False}
    assert (worker["address"], worker["namespace"]) == ("/run/k3s/containerd/containerd.sock", "k8s.io")
    assert (worker["networkMode"], worker["cniConfigPath"], worker["cniBinaryPath"]) == (
        "cni",
        network.CONFIG,
        layout.CNI,
    )
    bridge, *_ = json.loads(network.render_network(Networks()))["plugins"]
    assert (bridge["bridge"], bridge["ipam"]["ranges"]) == ("bbxbuild0", [[{"subnet": "10.44.0.0/16"}]])
    assert "mtu" not in bridge
    (narrow, *_) = json.loads(network.render_network(Networks(), 1460))["plugins"]
    assert narrow["mtu"] == 1460
    assert worker["defaultCgroupParent"] == "binderbox-builds.slice:bbx-containerd:"
    assert worker["runtime"]["options"] == {"SystemdCgroup": True, "BinaryName": layout.STEP_RUNC}
    assert config["dns"] == {"nameservers": ["10.43.0.10"], "searchDomains": ["."]}  # none of the host's
    assert config["insecure-entitlements"] == []
    assert config["root"] == "/srv/box/buildkit"


def test_no_image_of_a_frontend_is_run() -> None:
    assert tomllib.loads(builder.render_buildkitd(INPUTS))["frontend"] == {"gateway.v0": {"enabled": False}}


def test_the_cache_has_the_disk_planners_ceilings() -> None:
    *_, everything = tomllib.loads(builder.render_buildkitd(INPUTS))["worker"]["containerd"]["gcpolicy"]
    assert everything == {
        "all": True,
        "reservedSpace": 2_500_000_000,
        "maxUsedSpace": 10_000_000_000,
        "minFreeSpace": 4_200_000_000,
    }


def test_all_builds_together_and_each_step_have_their_limits() -> None:
    assert _unit(builder_units.render_slice(INPUTS))["Slice"]["MemoryMax"] == "8000000000"
    assert _unit(builder_units.render_slice(INPUTS))["Slice"]["TasksMax"] == str(3 * builder_units.STEP_TASKS)
    step = _unit(builder_units.render_scope_limits(INPUTS))["Scope"]
    assert (step["MemoryMax"], step["MemorySwapMax"]) == ("6000000000", "0")
    assert builder.SCOPE_LIMITS == "/etc/systemd/system/bbx-.scope.d/50-limits.conf"


def test_buildkitd_itself_cannot_ask_what_is_not_public() -> None:
    service = _unit(builder_units.render_buildkitd_unit(INPUTS))["Service"]
    assert {"169.254.0.0/16", "10.0.0.0/8", "127.0.0.0/8", "203.0.113.9"} <= set(
        service["IPAddressDeny"].split()
    )
    assert service["IPAddressAllow"].split() == ["192.0.2.53", "198.51.100.0/24"]
    assert "IPAddress" not in builder_units.render_buildkitd_unit(replace(INPUTS, resolvers=()))


def test_buildkitd_asks_resolvers_for_names_and_public_addresses_on_a_steps_ports() -> None:
    """A resolver's address may be the loopback's or the metadata service's; the unit's address list knows no ports."""
    inputs = replace(INPUTS, resolvers=("127.0.0.53", "fd00::53", "fe80::1%eth0"), cgroup_v2=True)
    rules = builder_units.render_fetches(inputs)
    assert f'socket cgroupv2 level 2 "system.slice/{layout.BUILDKITD_UNIT}" jump fetches' in rules
    rows = [line.strip() for line in rules.partition("chain fetches")[2].splitlines()]
    assert rows[1:5] == [
        "ct state established,related return",
        "ip daddr 127.0.0.53 meta l4proto { tcp, udp } th dport 53 return",
        "ip6 daddr fd00::53 meta l4proto { tcp, udp } th dport 53 return",
        "ip daddr 198.51.100.0/24 tcp dport { 5000, 443 } return",
    ]
    assert rows[5] == "ip daddr 203.0.113.9 counter reject"
    assert "127.0.0.0/8" in rows[6]
    assert rows[8:11] == [
        "ip6 daddr != 2000::/3 counter reject",
        "tcp dport { 80, 443, 9418 } goto few",
        "counter reject",
    ]
    service = _unit(builder_units.render_buildkitd_unit(inputs))["Service"]
    assert f"{layout.BACKSTOP_RUN}/fetches" in service["ExecStartPre"]
    assert f"/sys/fs/cgroup/system.slice/{layout.BUILDKITD_UNIT}" in service["ExecStartPre"]
    assert "127.0.0.53" in service["IPAddressAllow"].split()
    assert "ExecStartPre" not in builder_units.render_buildkitd_unit(
        INPUTS
    )  # cgroup v1: nftables cannot tell it


def test_buildkitd_shares_the_hosts_mounts() -> None:
    own_mounts = (
        "Private",
        "Protect",
        "ReadOnly",
        "ReadWrite",
        "Inaccessible",
        "Bind",
        "RootDirectory",
        "MountFlags",
    )
    service = _unit(builder_units.render_buildkitd_unit(INPUTS))["Service"]
    assert [key for key in service if key.startswith(own_mounts)] == []


def test_the_doors_directory_outlives_the_door() -> None:
    """A build pod that is running has the directory mounted, not its name."""
    service = _unit(builder_units.render_door_unit(INPUTS))["Service"]
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryPreserve"]) == ("binderbox/door", "yes")


def test_the_door_understands_its_config() -> None:
    config = parse_config(builder.render_door(INPUTS))
    assert (config.socket, config.image_prefix) == (layout.DOOR_SOCKET, layout.IMAGE_PREFIX)
    assert config.registry_url == "http://10.43.0.50:5000"
    assert not config.status_file.startswith(f"{layout.DOOR_RUN}/"), "build pods see that directory"


@pytest.mark.skipif(not Path("/usr/bin/systemd-analyze").exists(), reason="systemd-analyze is not here")
def test_systemd_knows_every_word_of_the_units(tmp_path: Path) -> None:
    for name, text in {
        layout.BUILDKITD_UNIT: builder_units.render_buildkitd_unit(INPUTS),
        layout.DOOR_UNIT: builder_units.render_door_unit(INPUTS),
        layout.BUILDS_SLICE: builder_units.render_slice(INPUTS),
    }.items():
        (tmp_path / name).write_text(text)
        command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Unknown" not in done.stderr
        assert "Failed to parse" not in done.stderr


def _lay_out(tree: dict[str, str], root: Path) -> None:
    for path, text in tree.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def test_the_door_as_it_lies_on_the_node_runs_by_itself(tmp_path: Path) -> None:
    tree = door_tree()
    assert {f"{layout.DOOR}/{name}/LICENSE" for name in LIBRARIES} <= tree.keys()
    _lay_out(tree, tmp_path)
    (tmp_path / "door.json").write_text(json.dumps({"socket": 3}))
    start = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('binderbox.parts.builder.door', run_name='__main__')"
    command = [
        sys.executable,
        "-I",
        "-S",
        "-B",
        "-c",
        start,
        f"{tmp_path}{layout.DOOR}",
        str(tmp_path / "door.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "socket: expected str, found 3" in json.loads(done.stderr.splitlines()[-1])["fault"]


def test_the_engine_lies_where_repo2docker_looks(tmp_path: Path) -> None:
    _lay_out(engine_tree(), tmp_path)
    root = tmp_path / layout.ENGINE.lstrip("/")
    entry = configparser.ConfigParser(delimiters=("=",))
    entry.read(root / "binderbox_engine-1.dist-info/entry_points.txt")
    module, _, name = entry["repo2docker.engines"]["binderbox"].partition(":")
    assert f"class {name}(" in (root / f"{module.replace('.', '/')}.py").read_text()
