"""What people read: checks, plans, launches and errors as text."""

from __future__ import annotations

import pytest

from binderbox.errors import ConfigError, StepFailed
from binderbox.output.report.checks import render_checks, render_short
from binderbox.output.report.error import render_error
from binderbox.output.report.install import render_install
from binderbox.output.report.phases import render_phase
from binderbox.output.report.plan import render_plan
from binderbox.output.report.secrets import render_secrets
from binderbox.output.report.status import render_status
from binderbox.output.report.style import Style, seconds
from binderbox.output.report.uninstall import render_uninstall
from binderbox.output.results import (
    CheckReport,
    CheckResult,
    Gauge,
    InstallResult,
    LaunchResult,
    Part,
    PhaseResult,
    PlanResult,
    Secret,
    SecretsResult,
    StatusResult,
    UninstallResult,
)
from binderbox.output.value import Value

CHECKS = (
    CheckResult("BBX-H01", "host", "the operating system is supported", "pass", "debian 12"),
    CheckResult(
        "BBX-H10",
        "host",
        "the ports are free",
        "fail",
        "port 443 is held by apache2 (apache2.service)",
        "port 443 for the ingress",
        "systemctl disable --now apache2.service",
    ),
    CheckResult("BBX-H13", "host", "there is no swap", "warn", "2.0 GB", "none", "swapoff -a"),
    CheckResult(
        "BBX-D01", "dns", "the domain leads to the host", "skip", "demo.test is no name of the public DNS"
    ),
)
LAUNCH = LaunchResult(
    "host.example",
    "git://10.0.0.1/sample",
    "HEAD",
    "https://hub.b.example/user/x/lab?token=t",
    "registry.binderbox.svc:5000/i-sample:1",
    built=True,
    pulled=False,
    seconds=(("built", 7.2), ("ready", 9.04), ("total", 9.5)),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04, "0.0 s"),
        (3.42, "3.4 s"),
        (59.94, "59.9 s"),
        (204, "3 min 24 s"),
        (3599.7, "1 h 0 min"),
        (7380, "2 h 3 min"),
    ],
)
def test_seconds_are_read_at_a_glance(value: float, text: str) -> None:
    assert seconds(value) == text


def test_checks_show_measured_needed_and_fix_of_what_does_not_hold() -> None:
    assert (
        render_checks(CheckReport("host.example", CHECKS))
        == """\
host
  ok   BBX-H01 the operating system is supported: debian 12
  FAIL BBX-H10 the ports are free: port 443 is held by apache2 (apache2.service)
       needed: port 443 for the ingress
       fix:    systemctl disable --now apache2.service
  warn BBX-H13 there is no swap: 2.0 GB
       needed: none
       fix:    swapoff -a

dns
  skip BBX-D01 the domain leads to the host: demo.test is no name of the public DNS

host.example: 1 pass, 1 warn, 1 fail, 1 skip"""
    )


def test_colour_only_adds_to_the_words() -> None:
    painted = render_checks(CheckReport("host.example", CHECKS), Style(colour=True))
    plain = render_checks(CheckReport("host.example", CHECKS))
    assert "\x1b[31mFAIL\x1b[0m BBX-H10" in painted
    for code in ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"):
        painted = painted.replace(code, "")
    assert painted == plain


def test_short_keeps_only_what_does_not_hold() -> None:
    assert render_short(CheckReport("host.example", CHECKS)).splitlines() == [
        "BBX-H10 fail: the ports are free: port 443 is held by apache2 (apache2.service)",
        "BBX-H13 warn: there is no swap: 2.0 GB",
        "host.example: 1 pass, 1 warn, 1 fail, 1 skip",
    ]


def test_a_plan_shows_each_value_with_origin_and_reason() -> None:
    values = (
        Value("pods", 112, "pods", "1.75 for each of 64.0 GB RAM"),
        Value("build_memory_gb", 16.0, "GB", "set in the config", "config"),
    )
    plan = PlanResult(
        "host.example",
        values,
        (PhaseResult("Start k3s", 1, 1, 3),),
        ("write the unit of k3s",),
        ("-a\n+b\n",),
    )
    text = render_plan(plan)
    assert (
        text
        == """\
  value            is        from      because
  pods             112 pods  computed  1.75 for each of 64.0 GB RAM
  build_memory_gb  16 GB     config    set in the config

  Start k3s  1 changed, 3 unchanged

Would change:
  ~ write the unit of k3s

host.example: 1 operation would change something"""
    )
    assert "-a\n+b" in render_plan(plan, diff=True)


def test_a_plan_without_changes_says_so_last() -> None:
    plan = PlanResult(
        "host.example", (), (PhaseResult("Start k3s", 1, 0, 4),), (), config_diff="-quota: 5\n+quota: 6\n"
    )
    text = render_plan(plan)
    assert text.splitlines()[-1] == "host.example: no changes"
    assert "  -quota: 5\n  +quota: 6" in text


def test_an_install_ends_with_the_address_and_tells_what_changed() -> None:
    phases = (PhaseResult("Check", 2.04, 0, 20), PhaseResult("Start k3s", 65, 7, 1))
    text = render_install(InstallResult("host.example", "https://b.example", phases, ("a", "b"), (LAUNCH,)))
    assert text.splitlines()[:2] == [
        "  Check      2.0 s      0 changed, 20 unchanged",
        "  Start k3s  1 min 5 s  7 changed, 1 unchanged",
    ]
    assert "  image  registry.binderbox.svc:5000/i-sample:1 (built)" in text
    assert "  times  built 7.2 s, ready 9.0 s, total 9.5 s" in text
    assert text.splitlines()[-1] == "host.example: 2 changes; the member answers at https://b.example"


def test_a_second_install_says_no_change() -> None:
    assert "no change;" in render_install(InstallResult("host.example", "https://b.example", (), ()))


def test_status_fits_on_one_screen_and_ends_with_the_verdict() -> None:
    status = StatusResult(
        "host.example",
        "degraded",
        "https://b.example",
        parts=(Part("k3s", True, "v1.36.4", "ready"), Part("registry", False, "3.1.1", "0/1 ready")),
        gauges=(Gauge("user pods", 3, 20), Gauge("disk", 41.5, 80, "GB"), Gauge("builds", 0)),
        checks=CHECKS,
    )
    lines = render_status(status).splitlines()
    assert "  FAIL registry  3.1.1    0/1 ready" in lines
    assert "  disk       41.5 of 80 GB" in lines
    assert any("BBX-H10" in line for line in lines)
    assert not any("BBX-H01" in line for line in lines)
    assert lines[-1] == "host.example: degraded at https://b.example"


def test_status_of_a_bare_host() -> None:
    assert render_status(StatusResult("host.example", "absent")) == "host.example: nothing is installed"


def test_uninstall_counts_leftovers() -> None:
    text = render_uninstall(
        UninstallResult("host.example", ("k3s.service",), ("/var/lib/binderbox",), ("cni0",))
    )
    assert "Kept:\n  /var/lib/binderbox" in text
    assert "Left over:\n  cni0" in text
    assert text.splitlines()[-1] == "host.example: leftovers 1"


def test_secrets_are_names_only() -> None:
    text = render_secrets(
        SecretsResult("h", (Secret("build-token", "given", False, "launches from mybinder.org"),))
    )
    assert text.splitlines()[1] == "  build-token  given   not set  launches from mybinder.org"


def test_an_error_has_its_four_parts_in_order() -> None:
    error = StepFailed(
        "host.example: Start k3s: k3s.service did not start",
        cause="k3s.service failed (exit-code)\nlevel=fatal msg=no space left",
        remedy="binderbox install host.example",
    )
    assert (
        render_error(error, log="/tmp/host.log")
        == """\
error BBX-401: host.example: Start k3s: k3s.service did not start
  cause: k3s.service failed (exit-code)
         level=fatal msg=no space left
  next:  binderbox install host.example
  log:   /tmp/host.log"""
    )


def test_an_error_names_its_own_log_first_and_leaves_out_what_it_has_not() -> None:
    assert render_error(ConfigError("no"), log="") == "error BBX-101: no"
    assert render_error(ConfigError("no", log="/own"), log="/other").endswith("log:   /own")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"type": "phase", "event": "started", "title": "Start k3s"}, "...  Start k3s"),
        (
            {"type": "phase", "event": "running", "title": "Start k3s", "seconds": 31.2},
            "     still: Start k3s, 31.2 s",
        ),
        (
            {
                "type": "phase",
                "event": "done",
                "title": "Start k3s",
                "seconds": 61,
                "changed": 2,
                "unchanged": 9,
            },
            "ok   Start k3s  1 min 1 s  (2 changed, 9 unchanged)",
        ),
        ({"type": "phase", "event": "failed", "title": "Start k3s", "seconds": 3}, "FAIL Start k3s  3.0 s"),
        (
            {
                "type": "waiting",
                "object": "pod hub",
                "reason": "0/1 ready",
                "last_event": "Pulling",
                "seconds": 12,
            },
            "     waiting 12.0 s for pod hub: 0/1 ready (last event: Pulling)",
        ),
        ({"type": "note", "text": "first run"}, "     first run"),
    ],
)
def test_progress_lines(event: dict[str, object], line: str) -> None:
    assert render_phase(event) == line
