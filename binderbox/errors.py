"""Every failure that binderbox knows, with its code and the exit code of the program.

    BinderboxError              BBX-000  exit 1
      ConfigError               BBX-101  exit 2   the config file, a flag or a given secret
      UsageError                BBX-102  exit 2   the command makes no sense here (no config, no such host)
        DeployRepoError         BBX-111  exit 2   the deployment repository cannot be edited as it stands
        RuleBroken              BBX-112  exit 2   the redirector would stop, or drop a member, after this edit
      ConnectError              BBX-201  exit 3   ssh did not let us in
        HostKeyUnknown          BBX-202  exit 3   the host's key is unknown or has changed
        SudoRefused             BBX-203  exit 3   in, but not root
      ChecksFailed                                carries the results of checks
        PreflightError          BBX-301  exit 3   a check failed before anything changed
        Unhealthy               BBX-501  exit 5   installed, but a check says no
      StepFailed                BBX-401  exit 4   a phase stopped; the same command continues
        ConnectionLost          BBX-402  exit 4   the connection broke while a step ran
        WaitTimedOut            BBX-403  exit 4   a unit or pod did not come up in its time
      BundleError               BBX-451  exit 4   an artifact is missing or has another checksum
      EndpointFailed            BBX-503  exit 5   a public address gave no usable answer
      LaunchFailed              BBX-502  exit 5   a repository did not become a running notebook
      ChangesPending            BBX-601  exit 6   `plan --exit-code` found changes
      Locked                    BBX-701  exit 7   somebody else works on the host
      Interrupted               BBX-901  exit 130 Ctrl-C

An error has four parts, and `report.render_error` prints them in this order: the code, what was tried (`message`,
with the host's name where there is one), the likely cause (`cause`, which may end with the last log lines of the
guilty unit or pod), and the next command (`remedy`). `log` is the path of the full log on this machine.
Standard library only: everybody imports this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class BinderboxError(Exception):
    """A failure with a known remedy."""

    code: ClassVar[str] = "BBX-000"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, cause: str = "", remedy: str = "", log: Path | str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.remedy = remedy
        self.log = Path(log) if log is not None else None
        if cause:
            self.add_note(cause)  # a traceback shows it, too


class ConfigError(BinderboxError):
    """The config file, a flag or a given secret is wrong; the message lists every fault at once."""

    code = "BBX-101"
    exit_code = 2


class UsageError(BinderboxError):
    """The command cannot be carried out as it was given."""

    code = "BBX-102"
    exit_code = 2


class DeployRepoError(UsageError):
    """The deployment repository is not in a state, or of a layout, that can be edited; nothing was written."""

    code = "BBX-111"


class RuleBroken(UsageError):
    """The edit would break a rule of the federation's redirector; nothing was written."""

    code = "BBX-112"


class ConnectError(BinderboxError):
    """No connection to the host; the remedy holds the plain ssh line to compare."""

    code = "BBX-201"
    exit_code = 3


class HostKeyUnknown(ConnectError):
    """The host's key is not in known_hosts, or is not the one that is."""

    code = "BBX-202"


class SudoRefused(ConnectError):
    """The account on the host cannot become root."""

    code = "BBX-203"


class ChecksFailed(BinderboxError):
    """Some checks do not hold. `checks` are all results, CheckResult objects of `checks.core`."""

    def __init__(
        self,
        message: str,
        *,
        checks: tuple[object, ...] = (),  # of results.CheckResult
        cause: str = "",
        remedy: str = "",
        log: Path | str | None = None,
    ) -> None:
        super().__init__(message, cause=cause, remedy=remedy, log=log)
        self.checks = checks


class PreflightError(ChecksFailed):
    """Checks failed before anything was changed."""

    code = "BBX-301"
    exit_code = 3


class StepFailed(BinderboxError):
    """A phase stopped; what was done stays, and the same command continues."""

    code = "BBX-401"
    exit_code = 4


class ConnectionLost(StepFailed):
    """The connection broke while a step ran; the step may still be running on the host."""

    code = "BBX-402"


class WaitTimedOut(StepFailed):
    """A unit or pod did not come up within its bounded wait; the cause names its last events and log lines."""

    code = "BBX-403"


class BundleError(BinderboxError):
    """An artifact is missing, or its checksum is not the expected one; it was not used."""

    code = "BBX-451"
    exit_code = 4


class Unhealthy(ChecksFailed):
    """The installation is there, and a check says that it does not work."""

    code = "BBX-501"
    exit_code = 5


class LaunchFailed(BinderboxError):
    """A repository did not become a running notebook; the cause holds the build's own last lines."""

    code = "BBX-502"
    exit_code = 5


class EndpointFailed(BinderboxError):
    """A public address of the federation did not answer, or not with what it must; the message says which and how."""

    code = "BBX-503"
    exit_code = 5


class ChangesPending(BinderboxError):
    """`plan --exit-code` found changes; no failure, an answer."""

    code = "BBX-601"
    exit_code = 6


class Locked(BinderboxError):
    """Another client, or work that outlived its client, holds the host's lock.

    `holder` is who@where, `step` what they do, `age_s` seconds since they took it.
    """

    code = "BBX-701"
    exit_code = 7

    def __init__(
        self,
        message: str,
        *,
        holder: str = "",
        step: str = "",
        age_s: float = 0.0,
        cause: str = "",
        remedy: str = "",
        log: Path | str | None = None,
    ) -> None:
        super().__init__(message, cause=cause, remedy=remedy, log=log)
        self.holder = holder
        self.step = step
        self.age_s = age_s


class Interrupted(BinderboxError):
    """Ctrl-C: the lock is released, what was done stays."""

    code = "BBX-901"
    exit_code = 130


class NoAnswer(Exception):
    """There was no usable answer to a request, or not in time; the text says why. Whoever asked makes an error of it."""


class BrokenOff(NoAnswer):
    """An answer began, and the connection ended before it was whole: the same question may bring all of it."""


class TooLong(NoAnswer):
    """There is an answer, and it is longer than what was asked for can be."""


def without_query(url: str) -> str:
    """An address as errors tell it: in its query a server's token may stand."""
    return url.partition("?")[0]


def reason_of(error: Exception) -> str:
    return str(error) or type(error).__name__
