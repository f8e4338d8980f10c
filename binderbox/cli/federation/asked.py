"""Options that say where the federation's list of members comes from, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from binderbox.cli.options import option

if TYPE_CHECKING:
    from binderbox.commands.federation.ask import Asked

F = TypeVar("F", bound=Callable[..., Any])


def federation_option(function: F) -> F:
    """--federation URL."""
    return option(
        "--federation",
        default="https://mybinder.org",
        show_default=True,
        metavar="URL",
        help="The redirector's public address.",
    )(function)


def deploy_repo_option(function: F) -> F:
    """--deploy-repo PATH|URL."""
    return option(
        "--deploy-repo",
        metavar="PATH|URL",
        help="Take the members from this checkout of mybinder.org-deploy, those that are out included.",
    )(function)


def asked(federation: str, deploy_repo: str | None) -> Asked:
    """Raises UsageError for what is no address, DeployRepoError for what is no deployment repository."""
    from urllib.parse import urlsplit

    from binderbox.commands.federation.ask import Asked, deploy_config
    from binderbox.errors import UsageError

    parts = urlsplit(federation)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise UsageError(
            f"--federation {federation}: needed is an address like https://mybinder.org",
            remedy="binderbox federation status --federation https://mybinder.org",
        )
    deploy = deploy_config(deploy_repo) if deploy_repo else None
    return Asked(federation, deploy, deploy_repo or "")
