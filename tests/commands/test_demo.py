"""What is known of the demo host on this machine: its files, and the word `demo` as HOST."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from binderbox.cli import main
from binderbox.commands import demo_files as demo
from binderbox.commands.demo import _new_demo
from binderbox.errors import ConfigError, UsageError
from binderbox.member import model as member

DEMO = demo.Demo("image:1", https_port=8443, http_port=8080, ssh_port=8022, docker_host="unix:///engine.sock")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_other_hosts_go_to_ssh_as_they_are() -> None:
    assert demo.resolve("root@host.example") == ("root@host.example", None)


def test_demo_without_a_demo_host_names_the_command_that_starts_one() -> None:
    with pytest.raises(UsageError) as raised:
        demo.resolve("demo")
    assert raised.value.remedy == "binderbox demo up"


def test_what_was_written_is_read_again_and_forgotten_without_a_trace(own_state: Path) -> None:
    demo.write(DEMO, demo.make_ssh_key())
    assert demo.read() == DEMO
    assert demo.resolve("demo") == ("demo", DEMO.ssh_config)
    assert DEMO.engine_env == {"DOCKER_HOST": "unix:///engine.sock"}
    demo.forget()
    assert demo.read() is None
    assert list(own_state.iterdir()) == []


def test_forgetting_keeps_files_that_are_not_ours() -> None:
    demo.write(DEMO, demo.make_ssh_key())
    (demo.directory() / "notes").touch()
    demo.forget()
    assert [file.name for file in demo.directory().iterdir()] == ["notes"]


def test_the_key_is_nobody_elses_to_read_and_belongs_together() -> None:
    demo.write(DEMO, demo.make_ssh_key())
    private = demo.directory() / "id_ed25519"
    assert private.stat().st_mode & 0o777 == 0o600
    derived = subprocess.run(["ssh-keygen", "-y", "-f", private], capture_output=True, text=True, check=True)
    assert derived.stdout.split()[:2] == demo.public_key().split()[:2]


def test_ssh_reads_its_config_as_it_was_meant() -> None:
    demo.write(DEMO, demo.make_ssh_key())
    command = ["ssh", "-G", "-F", DEMO.ssh_config, "demo"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    here = demo.directory()
    wanted = {
        "hostname 127.0.0.1",
        "port 8022",
        "user root",
        "stricthostkeychecking true",
        "identitiesonly yes",
    }
    wanted |= {f"identityfile {here}/id_ed25519", f"userknownhostsfile {here}/known_hosts"}
    assert wanted <= set(shown)


def test_a_broken_file_is_told_with_the_way_out() -> None:
    demo.directory().mkdir(parents=True)
    (demo.directory() / "demo.json").write_text("{")
    with pytest.raises(UsageError) as raised:
        demo.read()
    assert "demo down" in raised.value.remedy


def test_the_member_has_the_published_ports_and_what_the_site_needs() -> None:
    site = {"egress_allow": [demo.parse_egress("10.20.0.0/24:443,3128")], "offline": True, "extra_ca": None}
    found = member.parse(demo.render_member(DEMO, site), "demo")
    assert found.binder_url == "https://demo.localhost:8443"
    assert found.tls == "own-ca"
    assert found.offline
    assert found.egress_allow[0].ports == (443, 3128)


def test_a_members_certificates_are_an_authoritys_if_one_is_named() -> None:
    ports = {"https_port": 443, "http_port": 80}
    text = demo.render_member(replace(DEMO, **ports), {"acme_server": "https://10.20.0.1:14000/dir"})
    found = member.parse(text, "demo")
    assert (found.tls, found.acme_server) == ("acme", "https://10.20.0.1:14000/dir")


def test_an_authority_needs_ports_that_another_program_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "binderbox.commands.demo.free_port", lambda wanted: 40_000 if wanted == 80 else wanted
    )
    with pytest.raises(UsageError, match="ports 443 and 80 of this machine cannot both be had"):
        _new_demo("image:1", acme=True)
    assert _new_demo("image:1", acme=False).https_port == 8443


@pytest.mark.parametrize("text", ["10.20.0.0/24", "10.20.0.0/24:", "10.20.0.0/24:https", ":443", ""])
def test_an_egress_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="network and its TCP ports"):
        demo.parse_egress(text)


def test_an_egress_network_that_is_none_is_a_fault_of_the_config() -> None:
    with pytest.raises(ConfigError):
        demo.render_member(DEMO, {"egress_allow": [demo.parse_egress("10.20.0.1/24:443")]})


def test_without_an_engine_demo_up_says_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["demo", "up"]) == 3
    told = capsys.readouterr().err
    assert "needs a container engine" in told
    assert f"unix://{tmp_path}/none.sock" in told
    assert "docker info" in told
    assert not demo.directory().exists()


def test_without_docker_itself_demo_up_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["demo", "up"]) == 3
    assert "install docker" in capsys.readouterr().err


def test_demo_down_without_a_demo_host_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["demo", "down"]) == 0
    assert capsys.readouterr().out == "no demo host was there\n"
