"""cryptnono's values: what its own chart's schema takes, and what they make of a chart with the same keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.decide.sizing import GUARD_MEMORY_GB
from binderbox.parts.guard import bans, values
from binderbox.parts.guard.bans import Bans
from tests.charts.rendering import objects, template
from tests.parts.binderhub.test_values import merged
from tests.places import UPSTREAM
from tests.rig.bundle import CRYPTNONO

CHART = UPSTREAM / "cryptnono-chart"


def artifacts(*features: str) -> dict[str, Artifact]:
    chart = Artifact(values.CHART, "chart", "3" * 64, "test", "1", file="cryptnono.tgz", features=features)
    image = Artifact(
        "cryptnono", "image", "4" * 64, "test", "1", images=("quay.io/y/cryptnono:1",), of=values.CHART
    )
    return {one.name: one for one in (chart, image)}


def made(arch: str = "x86_64", found: Bans = Bans()) -> dict[str, Any]:  # noqa: B008  # frozen
    """As helm has them, with what the node adds."""
    both: dict[str, Any] = merged(values.make_inputs(artifacts(), arch).values, bans.values(found))
    return both


def upstream(name: str) -> Any:
    if not (CHART / name).exists():
        pytest.skip(f"cryptnono's chart is not at {CHART}")
    return yaml.safe_load((CHART / name).read_text())


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("found", [Bans(), Bans(("xmrig",), ("a b",), ("1.1.1.1",))])
def test_the_charts_own_schema_takes_them(arch: str, found: Bans) -> None:
    schema = upstream("values.schema.yaml")
    jsonschema.validate(merged(upstream("values.yaml"), made(arch, found)), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            merged(upstream("values.yaml"), {"detectors": {"execwhacker": {"lookup": 1}}}), schema
        )


def test_the_doubles_schema_knows_the_same_keys() -> None:
    def keys(schema: Any, whole: Any) -> Any:
        if "$ref" in schema:
            schema = whole["definitions"][schema["$ref"].rpartition("/")[2]]
        below = schema.get("properties")
        return {name: keys(one, whole) for name, one in below.items()} if below else None

    ours = yaml.safe_load((CRYPTNONO / "values.schema.json").read_text())
    assert keys(ours, ours) == keys(upstream("values.schema.yaml"), {})


def test_k3s_has_its_socket_elsewhere_and_docker_has_none() -> None:
    for detector in ("execwhacker", "tcpflowkiller"):
        assert made()["detectors"][detector]["containerdHostPath"] == layout.CONTAINERD_SOCKET
        assert made()["detectors"][detector]["dockerHostPath"] == ""
    assert made()["detectors"]["tcpflowkiller"]["config"]["FlowKiller"]["unique_destinations_threshold"] == 24


def test_miners_are_told_by_x86_alone() -> None:
    assert [made(arch)["detectors"]["monero"]["enabled"] for arch in ("x86_64", "aarch64")] == [True, False]
    assert values.detectors("aarch64") == ("execwhacker", "flowkiller")


def test_in_a_container_it_would_look_at_another_machine() -> None:
    assert values.watches(artifacts(), "none")
    assert not values.watches(artifacts(), "docker")
    assert values.watches(artifacts(values.WATCHES_NOTHING), "docker")


def test_what_it_renders(tmp_path: Path) -> None:
    """By the double's chart, whose schema is as strict; the ban's file is the node's own."""
    inputs = values.make_inputs(artifacts(), "x86_64")
    assert inputs.values_files == (layout.BANS_VALUES,)
    extra = tmp_path / "bans.yaml"
    extra.write_text(yaml.safe_dump(bans.values(Bans(("xmrig",)))))
    done = template(inputs, tmp_path, "--values", str(extra), chart=CRYPTNONO)
    assert done.returncode == 0, done.stderr
    found = {(one["kind"], one["metadata"]["name"]): one for one in objects(done.stdout)}
    pod = found["DaemonSet", "cryptnono"]["spec"]["template"]
    assert [one["name"] for one in pod["spec"]["containers"]] == ["execwhacker", "monero", "flowkiller"]
    configs = found["ConfigMap", "cryptnono-execwhacker"]["data"]
    assert bans.CANARY in configs["execwhacker-canary.json"]
    assert "xmrig" in configs["execwhacker-banned.json"]
    assert "xmrig" not in str(inputs.values), "the values that `plan` shows hold no ban"
    again = template(
        inputs,
        tmp_path,
        "--values",
        str(extra),
        "--set",
        "detectors.execwhacker.lookupEnvs=1",
        chart=CRYPTNONO,
    )
    assert again.returncode != 0, "what this chart does not know is refused at render"


def test_no_detector_asks_for_its_limit() -> None:
    """Kubernetes takes a limit for the request where there is none: 1 GB of a small machine's for what has never been measured."""
    made: dict[str, Any] = dict(values.make_inputs(artifacts(), "x86_64").values)
    asked = [one["resources"] for one in (*made["detectors"].values(), made["fetchKernelHeaders"])]
    assert all("memory" in one["requests"] for one in asked)
    told = {"0": 0, "64Mi": 67, "150M": 150, "167M": 167}
    running = [told[one["requests"]["memory"]] for one in asked[:-1]]
    assert sum(running) <= 1000 * GUARD_MEMORY_GB
