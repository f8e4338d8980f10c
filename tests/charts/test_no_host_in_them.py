"""Charts hold nothing that differs from one host to the next."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.places import ROOT

CHARTS = sorted(path.parent for path in (ROOT / "charts").glob("*/Chart.yaml"))
# An address, a public host name, an image's digest or its tag: what differs from one host to the next.
PER_HOST = re.compile(
    r"(?P<address>\b(?!127\.0\.0\.1\b|0\.0\.0\.0\b)\d{1,3}(\.\d{1,3}){3}\b)"
    r"|(?P<digest>sha256:[0-9a-f]{8})"
    r"|(?P<image>\b(docker\.io|quay\.io|ghcr\.io|registry\.k8s\.io)/)"
    r"|(?P<path>/var/lib/binderbox|/etc/binderbox)"
    r"|(?P<name>\b[a-z0-9-]+\.(mybinder\.org|example\.(org|com)|binderbox\.test)\b)"
)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda path: path.name)
def test_charts_hold_no_value_of_a_host(chart: Path) -> None:
    found = [
        f"{path.relative_to(chart)}:{number}: {match.group(0)}"
        for path in sorted(chart.rglob("*"))
        if path.is_file()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in PER_HOST.finditer(line)
    ]
    assert found == []


@pytest.mark.parametrize("chart", CHARTS, ids=lambda path: path.name)
def test_charts_have_no_image_of_their_own(chart: Path) -> None:
    values = yaml.safe_load((chart / "values.yaml").read_text()) or {}
    assert not values.get("image")


@pytest.mark.parametrize(
    "line",
    [
        "clusterIP: 10.43.0.50",
        "image: docker.io/x:1",
        "host: b.mybinder.org",
        "path: /var/lib/binderbox/objectstore",
    ],
)
def test_the_check_of_charts_bites(line: str) -> None:
    assert PER_HOST.search(line)
