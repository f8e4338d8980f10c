"""Debian root file systems: a small one for container images, and what is added to it for a host.

Packages come from wherever this machine's own apt is set to look. A certificate authority that the
machine's owner added is trusted in every root, because the network may need it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cache import cached, recipe_of

EXTRA_CA_DIR = Path("/usr/local/share/ca-certificates")
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BASE_PACKAGES = ("ca-certificates", "git", "python3", "python3-venv")
MINBASE_S = 150
# What no test reads: manuals, translations, package lists and caches.
TRIM = """
rm -rf usr/share/doc/* usr/share/man/* usr/share/info/* usr/share/locale/* usr/share/lintian
rm -rf var/lib/apt/lists/* var/cache/apt/* var/cache/debconf/*-old var/log/*.log var/log/apt
find . -xdev -name __pycache__ -prune -exec rm -rf {} +
"""


@dataclass(frozen=True)
class Mirrors:
    """Where Debian's packages come from: the archive itself, and its security updates."""

    archive: str
    security: str


def find_mirrors() -> Mirrors:
    """Read the mirrors from this machine's apt settings; where it has none, Debian's own addresses."""
    found: list[str] = []
    if shutil.which("apt-get"):
        command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    paths = {re.sub(r"/+$", "", uri): None for uri in found if uri.startswith("http")}
    archive = next((uri for uri in paths if uri.endswith("/debian")), "http://deb.debian.org/debian")
    security = next((uri for uri in paths if uri.endswith("/debian-security")), "")
    return Mirrors(archive, security or "http://deb.debian.org/debian-security")


def render_sources(mirrors: Mirrors, release: str) -> str:
    return (
        f"deb {mirrors.archive} {release} main\n"
        f"deb {mirrors.archive} {release}-updates main\n"
        f"deb {mirrors.security} {release}-security main\n"
    )


def extra_authorities() -> tuple[Path, ...]:
    """Return the certificate authorities that were added to this machine's own list."""
    return tuple(sorted(EXTRA_CA_DIR.rglob("*.crt")))


def base_root(release: str = "bookworm") -> Path:
    """Return a tar of a small Debian: Python with venv, git and certificates; the base of images."""
    recipe = recipe_of(release, *BASE_PACKAGES, TRIM, str(find_mirrors()), *extra_authorities(), "1")

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory(dir=into) as scratch:
            root = Path(scratch) / "root"
            packages = ",".join(BASE_PACKAGES)
            run("debootstrap", "--variant=minbase", f"--include={packages}", release, root, find_mirrors().archive)  # fmt: skip
            (root / "etc/apt/sources.list").write_text(render_sources(find_mirrors(), release))
            trust_extra_authorities(root)
            pack(root, into / "root.tar")

    return cached("debian-base", recipe, build, MINBASE_S, f"a small Debian {release}") / "root.tar"


def extended_root(name: str, script: str, release: str, usually_s: int) -> Path:
    """Return a tar of the small Debian after a shell script was run inside it."""
    base = base_root(release)

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory(dir=into) as scratch:
            root = Path(scratch) / "root"
            root.mkdir()
            run("tar", "--extract", "--file", base, "--directory", root)
            shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
            run_inside(root, script)
            pack(root, into / "root.tar")

    recipe = recipe_of(base.parent.name, script, TRIM, "1")
    return cached(name, recipe, build, usually_s, f"{name} ({release})") / "root.tar"


def trust_extra_authorities(root: Path) -> None:
    """Make everything in the root trust them; pip needs telling, because it carries a list of its own."""
    if not extra_authorities():
        return
    for authority in extra_authorities():
        shutil.copy(authority, root / str(EXTRA_CA_DIR)[1:] / authority.name)
    run("chroot", root, "update-ca-certificates")
    (root / "etc/pip.conf").write_text(f"[global]\ncert = {CA_BUNDLE}\n")


def pack(root: Path, tar: Path) -> None:
    subprocess.run(["sh", "-e", "-c", TRIM], cwd=root, check=True)
    run("tar", "--create", "--file", tar, "--numeric-owner", "--directory", root, "--exclude=./dev/*", ".")


def run_inside(root: Path, script: str) -> None:
    """Run a shell script in the root. Its mounts are in a namespace of their own and end with it."""
    setup = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$1" sh -c "$2"'
    run("unshare", "--mount", "sh", "-c", setup, "sh", root, script)


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise RuntimeError(f"{command[0]} failed with exit code {done.returncode}:\n{output}")
