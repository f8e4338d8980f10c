"""The monitoring target of a registered member: a line in `prometheus.extraScrapeConfigs` of config/prod.yaml.

That value is a text which is YAML itself (the prometheus chart passes it on). BinderHub answers /metrics on the
member's own address. Registered members are targets of one job; one below a path has a job of its own, because the
path of metrics is a job's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from binderbox.federation.deployrepo.guard import ABSENT, Intent, guard
from binderbox.federation.deployrepo.yamllines import append_entry, cut_entry, step_width
from binderbox.federation.deployrepo.yamltext import (
    Document,
    Pair,
    cut_lines,
    insert_lines,
    is_block,
    line_end,
    lines_from,
    read,
    scalar_pairs,
)

KEYS = ("prometheus", "extraScrapeConfigs")
JOB = "registered-members"
OWN = "# members that run on machines of their own"


class NoPlace(Exception):
    """The file has no place for this edit that could be found safely; the text says why."""


@dataclass(frozen=True)
class Target:
    """What is scraped of a member: the host with its port, and the path that its BinderHub is below, "" for none."""

    host: str
    path: str = ""

    @property
    def job(self) -> str:
        return f"{JOB}/{self.host}{self.path}" if self.path else JOB


@dataclass(frozen=True)
class Job:
    """Our job as it stands in the file: rows of it count from the value's first line."""

    first_row: int
    rows: int
    target_rows: dict[str, int]
    column: int
    alone: bool


def add(document: Document, target: Target) -> str:
    """The text with the host as one more target; as it is where it is one already. Raises NoPlace."""
    found = document.find(*KEYS)
    if found is None:
        return _add_value(document, target)
    jobs, job = _jobs(document, found, target.job)
    if job is not None and target.host in job.target_rows:
        return document.text
    rows = _outer_rows(document, found)
    indent = _inner_indent(document, found)
    if job is None:
        new = [f"{indent}{row}" if row else row for row in _job(target, 2)]
        last = max(i for i, (_, _, words) in enumerate(rows) if words.strip())
        wanted = [*jobs, *yaml.safe_load("\n".join(_job(target, 2)))]
    else:
        new = [f"{indent}{' ' * job.column}- {target.host}"]
        last = max(job.target_rows.values())
        wanted = _with_targets(jobs, target.job, [*job.target_rows, target.host])
    after = insert_lines(document.text, rows[last][1], new)
    return _guarded(document, after, Intent(KEYS, yaml.safe_dump(wanted), (), tuple(new), inner=True))


def remove(document: Document, target: Target) -> str:
    """The text without that target, and without the job and the value when nothing is left in them. Raises NoPlace."""
    found = document.find(*KEYS)
    if found is None:
        return document.text
    jobs, job = _jobs(document, found, target.job)
    if job is None or target.host not in job.target_rows:
        return document.text
    rows = _outer_rows(document, found)
    if len(job.target_rows) == 1 and job.alone:
        after, _ = cut_entry(document, found, OWN)
        # as YAML: a line of spaces below the text is a part of it, and stays
        return _guarded(document, after, Intent(KEYS, ABSENT, None, (), inner=True))
    if len(job.target_rows) == 1:
        first, last = job.first_row, job.first_row + job.rows - 1
        wanted = [one for one in jobs if one.get("job_name") != target.job]
    else:
        first = last = job.target_rows[target.host]
        kept = [one for one in job.target_rows if one != target.host]
        wanted = _with_targets(jobs, target.job, kept)
    gone = tuple(words for _, _, words in rows[first : last + 1])
    after = cut_lines(document.text, rows[first][0], rows[last][1])
    return _guarded(document, after, Intent(KEYS, yaml.safe_dump(wanted), gone, (), inner=True))


def elsewhere(document: Document, target: Target) -> bool:
    """Whether another job names the host too, and not for another member below a path of it."""
    found = document.find(*KEYS)
    if found is None or not isinstance(found[1], yaml.ScalarNode):
        return False
    jobs = read(document.path, str(found[1].value).encode()).data()
    return any(
        target.host in str(one)
        for one in (jobs if isinstance(jobs, list) else [jobs])
        if not (isinstance(one, dict) and str(one.get("job_name")).startswith(f"{JOB}/"))
    )


def _add_value(document: Document, target: Target) -> str:
    found = document.find(KEYS[0])
    if found is None or not isinstance(found[1], yaml.MappingNode) or not is_block(found[1]):
        raise NoPlace(f"{document.path} has no {KEYS[0]} section that is written in lines")
    step = step_width(document, found[1])
    rows = [OWN, f"{KEYS[1]}: |", *(f"{' ' * step}{row}" for row in _job(target, 2))]
    after = append_entry(document, found[1], rows)
    indent = " " * int(found[1].value[-1][0].start_mark.column)
    added = tuple(f"{indent}{row}" for row in rows)
    return _guarded(document, after, Intent(KEYS, "\n".join(_job(target, 2)), (), added, inner=True))


def _job(target: Target, step: int) -> list[str]:
    gap = " " * step
    return [
        f"- job_name: {target.job}",
        f"{gap}scheme: https",
        *([f"{gap}metrics_path: {target.path}/metrics"] if target.path else []),
        f"{gap}static_configs:",
        f"{gap * 2}- targets:",
        f"{gap * 4}- {target.host}",
    ]


def _jobs(document: Document, found: Pair, name: str) -> tuple[list[Any], Job | None]:
    """What the value says, and the job of that name in it. Raises NoPlace for what is no list of jobs in a `|` block."""
    value = found[1]
    where = f"{document.path}:{document.line(found[0])}"
    if (
        not isinstance(value, yaml.ScalarNode)
        or value.style != "|"
        or value.start_mark.index < found[0].end_mark.index
    ):
        raise NoPlace(f"{where}: {'.'.join(KEYS)} is no `|` block")
    inner = read(where, value.value.encode())
    jobs = inner.data()
    if not (
        isinstance(jobs, list)
        and jobs
        and all(isinstance(one, dict) for one in jobs)
        and is_block(inner.root)
    ):
        raise NoPlace(f"{where}: {'.'.join(KEYS)} is no list of jobs")
    assert isinstance(inner.root, yaml.SequenceNode)
    ours = [i for i, one in enumerate(jobs) if one.get("job_name") == name]
    if not ours:
        return jobs, None
    return jobs, _our_job(inner, inner.root, ours[0], where)


def _our_job(inner: Document, root: yaml.SequenceNode, place: int, where: str) -> Job:
    node = root.value[place]
    configs = _list_at(node, "static_configs")
    targets = _list_at(configs.value[0], "targets") if configs is not None else None
    if configs is None or targets is None or len(configs.value) != 1:
        raise NoPlace(f"{where}: a job of {JOB} has no targets one a line")
    lines = list(lines_from(inner.text, 0))
    start = node.start_mark.line
    end = root.value[place + 1].start_mark.line if place + 1 < len(root.value) else len(lines)
    while not lines[end - 1][2].strip() or lines[end - 1][2].lstrip().startswith("#"):
        end -= 1
    rows = {one.value: one.start_mark.line for one in targets.value}
    dash = lines[next(iter(rows.values()))][2]
    return Job(start, end - start, rows, len(dash) - len(dash.lstrip()), len(root.value) == 1)


def _list_at(node: yaml.Node, key: str) -> yaml.SequenceNode | None:
    """The list behind a key, if it is written in lines."""
    pairs = scalar_pairs(node) if isinstance(node, yaml.MappingNode) else iter(())
    found = next((value for name, value in pairs if name.value == key), None)
    return found if isinstance(found, yaml.SequenceNode) and is_block(found) else None


def _outer_rows(document: Document, found: Pair) -> list[tuple[int, int, str]]:
    """(start, end, words) of the lines of a `|` block, in the file."""
    value = found[1]
    start = line_end(document.text, value.start_mark.index)
    return [row for row in lines_from(document.text, start) if row[0] < value.end_mark.index]


def _inner_indent(document: Document, found: Pair) -> str:
    """The spaces that a `|` block's lines have before the text itself."""
    inner = found[1].value.split("\n")
    for words, (_, _, outer) in zip(inner, _outer_rows(document, found), strict=False):
        if words.strip():
            return outer[: len(outer) - len(words)]
    raise NoPlace(f"{'.'.join(KEYS)} is empty")


def _with_targets(jobs: list[Any], name: str, targets: list[str]) -> list[Any]:
    return [
        {**one, "static_configs": [{**one["static_configs"][0], "targets": targets}]}
        if one.get("job_name") == name
        else one
        for one in jobs
    ]


def _guarded(document: Document, after: str, intent: Intent) -> str:
    guard(document.path, document.text, after, intent)
    return after


def target_of(url: str) -> Target:
    """`https://binder.example.org/x` -> `binder.example.org`, with the port where there is one, and `/x`."""
    host, _, path = re.sub(r"^https?://", "", url).partition("/")
    return Target(host, f"/{path}".rstrip("/"))
