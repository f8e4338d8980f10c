"""A member on a real host: the whole path once, and what must be true of it afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest

from binderbox import layout
from binderbox.member.model import Networks
from tests.conftest import Installed
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500)]


def kubectl(installed: Installed, *args: str) -> Any:
    return json.loads(installed.host.exec([layout.K3S, "kubectl", *args, "-o", "json"]))


def restarts(installed: Installed) -> dict[str, str]:
    """When each unit started, and each pod of the member's own."""
    units = {
        name: installed.host.exec(
            ["systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "--value", name]
        ).strip()
        for name in layout.UNITS
    }
    pods = kubectl(installed, "get", "pods", "-A")["items"]
    own = [
        pod
        for pod in pods
        if pod["metadata"]["labels"].get("component") not in ("binderhub-build", "singleuser-server")
    ]
    return units | {pod["metadata"]["name"]: pod["status"]["startTime"] for pod in own}


def revisions(installed: Installed) -> set[str]:
    secrets = kubectl(installed, "get", "secrets", "-A", "-l", "owner=helm")["items"]
    return {secret["metadata"]["name"] for secret in secrets}


def test_install_ends_with_a_launch_that_pulled_nothing(installed_host: Installed) -> None:
    result = installed_host.finished.result
    cold, warm = result["launches"]
    assert (cold["built"], cold["pulled"]) == (True, False)
    assert (warm["built"], warm["pulled"]) == (False, False)
    assert cold["image"].startswith(layout.IMAGE_PREFIX)
    titles = [phase["title"] for phase in result["phases"]]
    assert (titles[0], titles[-1]) == ("Check", "Prove it")


@pytest.fixture(scope="module")
def second(installed_host: Installed) -> tuple[dict[str, str], set[str], dict[str, Any]]:
    """What ran before a second install, and that install's result."""
    before, helm = restarts(installed_host), revisions(installed_host)
    result = installed_host.client.install(installed_host.host, "--json").must().result
    return before, helm, result


def test_a_second_install_changes_nothing(installed_host: Installed, second: Any) -> None:
    before, helm, result = second
    assert result["changed"] == []
    assert sum(phase["changed"] for phase in result["phases"]) == 0
    assert revisions(installed_host) == helm
    assert restarts(installed_host) == before


def test_the_plan_after_an_install_is_empty(installed_host: Installed, second: Any) -> None:
    finished = installed_host.client.binderbox(installed_host.host, "plan", "--exit-code", "--json").must(0)
    assert finished.result["changed"] == []


def test_the_registry_soon_holds_the_image(installed_host: Installed) -> None:
    image = installed_host.finished.result["launches"][0]["image"]
    name, _, tag = image.removeprefix(f"{layout.REGISTRY}/").rpartition(":")
    ask = (
        f'curl -sS -o /dev/null -D - -u "$(cat {layout.SECRETS}/registry-user):$(cat {layout.SECRETS}/registry-password)" '
        f"-H 'Accept: application/vnd.oci.image.manifest.v1+json' http://{Networks().registry_ip}:5000/v2/{name}/manifests/{tag}"
    )
    local = installed_host.host.exec(
        ["sh", "-c", f"k3s ctr -n k8s.io images ls name=={image} | awk 'NR == 2 {{ print $3 }}'"]
    ).strip()

    def found() -> str:
        answer = installed_host.host.exec(["sh", "-c", ask])
        return answer if "200" in answer.splitlines()[0] else ""

    answer = wait_until(found, 60, "the registry has the image")
    headers = dict(line.lower().split(": ", 1) for line in answer.splitlines() if ": " in line)
    assert headers["docker-content-digest"] == local


def build_pod(installed: Installed) -> dict[str, Any]:
    """A build pod of a launch that is under way; BinderHub removes it soon after."""
    with installed.client.start(installed.host, "launch", "--json") as launching:
        try:
            while launching.poll() is None:
                pods = kubectl(
                    installed, "get", "pods", "-n", layout.HUB_NAMESPACE, "-l", "component=binderhub-build"
                )
                if pods["items"]:
                    pod: dict[str, Any] = pods["items"][0]
                    return pod
            raise AssertionError(
                f"no build pod was ever seen: {launching.stdout and launching.stdout.read()}"
            )
        finally:
            launching.communicate()


def test_no_build_pod_holds_a_credential(installed_host: Installed) -> None:
    pod = build_pod(installed_host)
    volumes = pod["spec"].get("volumes", [])
    assert not [volume for volume in volumes if "secret" in volume or "projected" in volume]
    paths = [volume["hostPath"]["path"] for volume in volumes if "hostPath" in volume]
    assert layout.DOOR_RUN in paths
    assert not [path for path in paths if "buildkit" in path or "containerd" in path or "docker" in path]
    for name in ("registry-password", "s3-registry-secret-key"):
        assert installed_host.host.exec(["cat", f"{layout.SECRETS}/{name}"]).strip() not in json.dumps(pod)


def test_status_is_healthy(installed_host: Installed) -> None:
    result = installed_host.client.binderbox(installed_host.host, "status", "--json").must().result
    assert result["verdict"] == "healthy", result
    assert all(part["ok"] for part in result["parts"])


def test_no_secret_is_in_any_log(installed_host: Installed, second: Any) -> None:
    names = installed_host.host.exec(["ls", layout.SECRETS]).split()
    secrets = {
        name: installed_host.host.exec(["cat", f"{layout.SECRETS}/{name}"]).strip()
        for name in names
        if name != "registry-user"
    }
    said = installed_host.finished.stdout + installed_host.finished.stderr
    said += "".join(path.read_text(errors="replace") for path in installed_host.client.home.rglob("*.log"))
    said += installed_host.host.exec(
        [
            "sh",
            "-c",
            f"journalctl --no-pager -o cat; cat {layout.AUDIT_FILE}; cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
        ]
    )
    assert secrets
    assert [name for name, secret in secrets.items() if secret in said] == []
