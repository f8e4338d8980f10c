"""A repo2docker config for sites without the Internet: repositories come by git alone.

repo2docker 2026.4.0 asks a list of Dataverse sites on the Internet before it tries git, for every
repository, and fails where it gets no answer.
"""

from repo2docker import contentproviders

c = get_config()  # type: ignore[name-defined]  # noqa: F821
c.Repo2Docker.content_providers = [contentproviders.Local, contentproviders.Git]
