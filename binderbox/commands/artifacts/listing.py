"""Each artifact of a host: how it is trusted, how large it is, and whether the node has it. Changes nothing."""

from __future__ import annotations

from binderbox import layout
from binderbox.artifacts import records
from binderbox.artifacts.resolve import Artifact
from binderbox.commands.connect import look, opened
from binderbox.deploys.operations.images import path_of
from binderbox.output.progress import Progress
from binderbox.output.requests import ArtifactsRequest
from binderbox.output.results import ArtifactRow, ArtifactsResult
from binderbox.parts.fetch.pulling import CTR
from binderbox.parts.fetch.telling import MB, size_of
from binderbox.world.host.hosts import Host


def list_artifacts(request: ArtifactsRequest, progress: Progress) -> ArtifactsResult:
    with opened(request.connection, request.sources) as host:
        probe = look(host, request.sources)
        known = records.parse(probe.facts.records)
        found = list(probe.artifacts.values())
        files = _files(host, [path_of(one) for one in found if one.file or one.url])
        images = _images(host)
        rows = []
        for one in found:
            size_mb = files.get(path_of(one)) if one.file or one.url else images.get(one.images[0])
            rows.append(_row(one, size_mb, known[one.name].stated_by if one.trust == "recorded" else ""))
        return ArtifactsResult(host.name, tuple(rows))


def _row(one: Artifact, size_mb: float | None, by: str) -> ArtifactRow:
    return ArtifactRow(
        one.name, one.version, one.trust, one.sha256, one.source, size_mb is not None, size_mb, by
    )


def _files(host: Host, paths: list[str]) -> dict[str, float]:
    """Path to MB, of those that are there with the mark of a verified file."""
    script = 'for p; do [ -f "$p.ok" ] && stat -c "%s %n" "$p"; done; true'
    rows = [line.split(" ", 1) for line in host.run(["sh", "-c", script, "sh", *paths]).text.splitlines()]
    return {path: round(int(size) / MB, 3) for size, path in rows}


def _images(host: Host) -> dict[str, float]:
    """Name to MB, of containerd's images: REF TYPE DIGEST SIZE and its unit."""
    ask = ["sh", "-c", f'[ ! -S {layout.CONTAINERD_SOCKET} ] || exec "$@"', "sh", *CTR, "images", "list"]
    rows = [line.split() for line in host.run(ask).text.splitlines()[1:]]
    return {row[0]: round(size_of(row[3] + row[4]) / MB, 3) for row in rows if len(row) > 4}
