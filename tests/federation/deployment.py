"""What a node follows, small and real: a deployment repository, a chart index and an image registry, with a prime.

`Deployment.release` makes a new version of the double (an image with one more layer, a chart that runs it), commits
its pins as mybinder.org-deploy does, and `prime` says it runs them. All of it is served at one address: git by
`git daemon`, charts and images by HTTP.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import ssl
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Self, cast

import yaml

from binderbox.decide.profile import SETTINGS
from tests.federation.prime import Prime
from tests.federation.serving import Handler, Served
from tests.rig import images
from tests.rig.bundle import cryptnono_chart, repacked_chart
from tests.rig.images import DOUBLE
from tests.rig.ociarchive import MANIFEST, Image, Layer, compress, load_layer, write_archive

CHART_FILE, VALUES_FILE = "mybinder/Chart.yaml", "mybinder/values.yaml"
AUTHOR = ("-c", "user.name=The federation", "-c", "user.email=federation@example.org")
VERSION_LINE = '__version__ = "{}"\n'
BROKEN = {
    "": "",
    # the pod never comes up
    "crash": 'raise SystemExit("broken on purpose")\n',
}
TABLES = '["double1"]'  # in the double's store.py
BROKEN_LAUNCH = """

async def _broken(self, provider):
    raise RuntimeError("broken on purpose")

LaunchHandler.launch = _broken
"""


class Store(Served):
    """Charts below /charts, and images as a registry serves them (read only), from one directory of files."""

    def __init__(
        self, bind: str, directory: Path, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.handler = _Store
        super().__init__(bind=bind, port=port, tls=tls)
        self.directory = directory
        self.manifests: dict[str, str] = {}  # name:tag to digest
        self.pulled: list[str] = []

    @property
    def registry(self) -> str:
        return self.url.removeprefix("http://")

    def add(self, image: Image) -> None:
        """Take an image in, under the name it has."""
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            write_archive(Path(scratch, "image.tar"), [image])
            with tarfile.open(Path(scratch, "image.tar")) as tar:
                tar.extractall(scratch, filter="data")
            index = json.loads(Path(scratch, "index.json").read_text())
            for blob in Path(scratch, "blobs/sha256").iterdir():
                blob.rename(self.directory / blob.name)
        self.manifests[image.reference.partition("/")[2]] = index["manifests"][0]["digest"]


class _Store(Handler):
    @property
    def owner(self) -> Store:
        return cast(Any, self.server).owner  # type: ignore[no-any-return]

    def answer(self) -> None:
        parts = self.path.strip("/").split("/")
        if parts[0] == "charts":
            file = self.owner.directory / "charts" / parts[-1]
            self.send(200, file.read_bytes()) if file.is_file() else self.send(404)
        elif parts == ["v2"]:
            self.send(200)
        elif parts[-2:-1] == ["manifests"]:
            name = "/".join(parts[1:-2])
            digest = parts[-1] if ":" in parts[-1] else self.owner.manifests.get(f"{name}:{parts[-1]}", "")
            self.owner.pulled.append(f"{name}:{parts[-1]}")
            self._blob(digest, MANIFEST)
        else:
            self._blob(parts[-1], "application/octet-stream")

    def _blob(self, digest: str, kind: str) -> None:
        file = self.owner.directory / digest.removeprefix("sha256:")
        if not digest or not file.is_file():
            self.send(404, b'{"errors": []}')
            return
        self.send(200, file.read_bytes(), {"Content-Type": kind, "Docker-Content-Digest": digest})


class Deployment:
    """The federation's side. `base` are the pins with which nodes of the rig are installed."""

    def __init__(self, address: str, directory: Path) -> None:
        self.address, self.directory = address, directory
        (directory / "store" / "charts").mkdir(parents=True)
        self.store = Store(address, directory / "store")
        self.work = directory / "git" / "deploy"
        self.prime = Prime(bind=address, versions={})
        self.index: dict[str, list[dict[str, Any]]] = {"binderhub": [], "cryptnono": []}
        self.guard = ""  # the pinned chart of cryptnono
        self.pinned = ("1.0.0", images.REPO2DOCKER, "")
        self.daemon: subprocess.Popen[bytes] | None = None
        self.git_port = 0

    def __enter__(self) -> Self:
        self.store.start()
        self.prime.start()
        self.begin_repository()
        self.git_port = self.store.port + 1
        serve = ["git", "daemon", "--export-all", "--reuseaddr", f"--listen={self.address}"]
        serve += [f"--port={self.git_port}", f"--base-path={self.work.parent}", str(self.work.parent)]
        self.daemon = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: object) -> None:
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(10)
        self.prime.close()
        self.store.close()

    def begin_repository(self) -> None:
        (self.work / "mybinder").mkdir(parents=True)
        self._git("init", "-q", "-b", "main", ".")

    @property
    def registry(self) -> str:
        """What its images' names begin with."""
        return self.store.registry

    @property
    def places(self) -> dict[str, str]:
        """Where the parts of it are found."""
        return {
            "federation": self.prime.url,
            "deploy_repo": f"git://{self.address}:{self.git_port}/deploy",
            "chart_index": f"{self.store.url}/charts",
            "guard_index": f"{self.store.url}/charts",
        }

    @property
    def follow(self) -> dict[str, Any]:
        """The key `follow` of a member's config."""
        return {
            **self.places,
            "image_sources": [
                f"{self.registry}/binder-double",
                f"{self.registry}/repo2docker",
                f"{self.registry}/cryptnono-double",
                images.REPO2DOCKER.rpartition(":")[0],
                images.binder_double_name().rpartition(":")[0],
            ],
        }

    def pins(self, chart: str, build_image: str, repository: str = "") -> str:
        """Commit these pins to main, among what else stands in such files, and return the commit."""
        dependencies = [
            {"name": "binderhub", "version": chart, "repository": repository or self.places["chart_index"]},
            {"name": "traefik", "version": "41.1.1", "repository": "oci://registry.example.org/helm"},
        ]
        self.pinned = (chart, build_image, repository)
        if self.guard:
            dependencies.append(
                {"name": "cryptnono", "version": self.guard, "repository": self.places["guard_index"]}
            )
        values = federation_values()
        values["binderhub"]["config"]["KubernetesBuildExecutor"]["build_image"] = build_image
        (self.work / CHART_FILE).write_text(
            yaml.safe_dump({"apiVersion": "v2", "dependencies": dependencies})
        )
        (self.work / VALUES_FILE).write_text(yaml.safe_dump(values))
        self._git("add", "-A")
        self._git(*AUTHOR, "commit", "-q", "--allow-empty", "-m", f"Updates binderhub to {chart}")
        return self._git("rev-parse", "HEAD").strip()

    def release(
        self, number: int, *, broken: str = "", runs: bool = True, migrates: bool = False, template: str = ""
    ) -> dict[str, Any]:
        """Publish a new BinderHub and a new build image, pin both, and let the prime run them.

        + broken: "crash" or "launch"
        + migrates: whether its hub makes new tables, with which the one before cannot run
        + template: one more object in its chart
        + runs: whether the prime's /versions says so at once
        """
        version = f"0.0.{number}.dev0+binderbox.double"
        double = f"{self.registry}/binder-double:{number}"
        build_image = f"{self.registry}/repo2docker:2026.4.{number}"
        self.store.add(
            images.binder_double_image(double, _patch(version, broken, f"double{number}" if migrates else ""))
        )
        self.store.add(images.repo2docker_image(build_image))
        chart = f"1.0.{number}-0.dev.git.{number}.h{hashlib.sha256(version.encode()).hexdigest()[:8]}"
        self.publish(chart, double, template)
        self.pins(chart, build_image)
        versions = versions_of(version, build_image)
        if runs:
            self.prime.versions = versions
        return versions

    def publish(self, version: str, image: str, template: str = "") -> None:
        """Put the double's chart into the index, under another version and with another image."""
        packed = repacked_chart(version, image, image, image, template)
        self._publish("binderhub", version, packed)

    def release_guard(self, number: int, *, broken: bool = False, template: str = "") -> str:
        """Publish a new cryptnono, pin it, and return the chart's version.

        + broken: whether its detectors end as soon as they start
        + template: one more object in its chart
        """
        image = f"{self.registry}/cryptnono-double:{number}"
        text = 'raise SystemExit("broken on purpose")\n' if broken else f"# {number}\n"
        self.store.add(
            images.cryptnono_image(
                image, _layer({"scripts/common.py": text} if broken else {"scripts/more.py": text})
            )
        )
        version = f"0.3.{number + 2}"
        self._publish("cryptnono", version, cryptnono_chart(version, image, image, template))
        self.guard = version
        self.pins(*self.pinned)
        return version

    def _publish(self, name: str, version: str, packed: bytes) -> None:
        file = f"{name}-{version}.tgz"
        (self.directory / "store" / "charts" / file).write_bytes(packed)
        digest = hashlib.sha256(packed).hexdigest()
        self.index[name].append({"name": name, "version": version, "urls": [file], "digest": digest})
        index = yaml.safe_dump({"apiVersion": "v1", "entries": self.index})
        (self.directory / "store" / "charts" / "index.yaml").write_text(index)

    def _git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=self.work, check=True, capture_output=True, text=True
        ).stdout


def federation_values() -> dict[str, Any]:
    """mybinder's values as far as a member shares them, as they were when this binderbox was released."""
    tree: dict[str, Any] = {}
    for setting in SETTINGS:
        if not setting.deviation:
            *parents, last = [key.replace("\\.", ".") for key in re.split(r"(?<!\\)\.", setting.upstream)]
            place = tree
            for key in parents:
                place = place.setdefault(key, {})
            place[last] = setting.says or setting.value
    return tree


def versions_of(version: str, build_image: str) -> dict[str, Any]:
    """A /versions as BinderHub b9fad995 answers it."""
    return {"builder_info": {"build_image": build_image}, "binderhub": version, "builder": build_image}


def _patch(version: str, broken: str, schema: str = "") -> Layer:
    """A layer with the double's version, and with what is wrong with it."""
    texts = {"binderhub/__init__.py": VERSION_LINE.format(version) + BROKEN.get(broken, "")}
    if broken == "crash":  # asked for its version it still answers: only as a service does it fall over
        texts = {"binderhub/__init__.py": VERSION_LINE.format(version), "binderhub/app.py": BROKEN["crash"]}
    if broken == "launch":
        texts["binderhub/launching.py"] = (DOUBLE / "binderhub" / "launching.py").read_text() + BROKEN_LAUNCH
    if schema:
        store = (DOUBLE / "hubdouble" / "store.py").read_text()
        texts["hubdouble/store.py"] = store.replace(TABLES, f'["double1", "{schema}"]')
        assert texts["hubdouble/store.py"] != store
    return _layer({f"srv/double/{name}": text for name, text in texts.items()})


def _layer(texts: dict[str, str]) -> Layer:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in texts.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    out.seek(0)
    into = Path(tempfile.mkdtemp(prefix="double-patch-"))
    compress(out, into)
    return load_layer(into)


def trust_store(host: Any, store: Store) -> None:
    """Let the node's containerd pull from the store in plain: what a site's registries.yaml says of its mirror."""
    text = f'server = "{store.url}"\n[host."{store.url}"]\n  capabilities = ["pull", "resolve"]\n'
    directory = f"/var/lib/rancher/k3s/agent/etc/containerd/certs.d/{store.registry}"
    host.exec(["mkdir", "-p", directory])
    host.exec(["sh", "-c", f"cat > {directory}/hosts.toml"], stdin=text.encode())
