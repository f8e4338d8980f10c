"""The double keeps BinderHub's contract, traps included; recordings of the real program are the measure."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
import yaml
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from traitlets.config import Config

from tests.places import UPSTREAM

HERE = Path(__file__).parent
DOUBLE = HERE / "double"
sys.path.insert(0, str(DOUBLE))

from binderhub.app import BinderHub  # noqa: E402
from binderhub.build import KubernetesBuildExecutor  # noqa: E402
from binderhub.names import build_name, image_name, without_registry  # noqa: E402
from binderhub.quota import LaunchQuotaExceeded, judge  # noqa: E402
from binderhub.stream import format_event  # noqa: E402
from binderhub.watching import as_json_line  # noqa: E402

RECORDED = UPSTREAM / "recorded/binderhub"
needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason="../shared holds no recordings")
SECRET = "ab" * 32
COMMIT = "0123456789012345678901234567890123456789"
GONE = "git%3A%2F%2F127.0.0.1%3A9%2Fno-such.git"  # the discard port: nothing listens


def request(app: BinderHub, path: str, **headers: str):
    """One request to a running double, whole answer."""

    async def ask():
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(app.web)
        server.add_sockets(sockets)
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}{path}"
        try:
            return await AsyncHTTPClient().fetch(HTTPRequest(url, headers=headers), raise_error=False)
        finally:
            server.stop()

    return asyncio.run(ask())


def events(body: bytes) -> list[dict]:
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]


def recorded(name: str) -> list[dict]:
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]


def recorded_events(name: str) -> list[dict]:
    lines = [entry["line"] for entry in recorded(name) if "line" in entry]
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


@pytest.fixture
def make_app(tmp_path):
    def make(text: str = "", **binderhub) -> BinderHub:
        BinderHub.clear_instance()
        file = tmp_path / "config.py"
        settings = "".join(f"c.BinderHub.{key} = {value!r}\n" for key, value in binderhub.items())
        file.write_text(settings + text)
        app = BinderHub()
        app.initialize(["--config", str(file)])
        return app

    return make


def test_names_are_those_of_the_recordings():
    image = image_name("registry.local:5000/i-", "git://10.42.0.1/demo.git", COMMIT)
    assert image == f"registry.local:5000/i-git-3a-2f-2f10-2e42-2e0-2e1-2fdemo-2egit-ebc6c8:{COMMIT}"
    assert without_registry(image) == (image.split("/", 1)[1].split(":")[0], COMMIT)


def test_image_names_have_no_underscore_and_no_capital():
    name = image_name("r:5000/My_", "https://host/Some_Repo", "ABC")
    assert name == name.lower()
    assert "_" not in name
    assert name != image_name("r:5000/My_", "https://host/some_Repo", "ABC")  # the hash keeps them apart


def test_long_names_stay_within_a_label():
    slug = "https://host/" + "x" * 300
    assert len(build_name(slug, COMMIT)) <= 63
    assert build_name(slug, COMMIT) != build_name(slug + "y", COMMIT)


def test_a_log_line_keeps_its_newline_so_that_an_empty_line_follows():
    assert format_event('{"message": "x"}\n') == 'data: {"message": "x"}\n\n\n'
    assert format_event({"phase": "failed"}) == 'data: {"phase": "failed"}\n\n'


def test_a_line_that_is_no_json_is_of_the_phase_unknown():
    assert json.loads(as_json_line("Traceback\n")) == {"phase": "unknown", "message": "Traceback\n"}
    assert as_json_line('{"phase": "building"}\n') == '{"phase": "building"}\n'


def test_a_visitor_with_the_pages_token_meets_no_rate_limit(make_app):
    app = make_app("c.RateLimiter.limit = 1\n", build_token_secret=SECRET)
    path = f"git/{GONE}/main"
    page = request(app, f"/v2/{path}", Host="binder.test").body.decode()
    token = re.search(r'"buildToken": *"([^"]+)"', page)[1]
    accept = {"Accept": "text/event-stream", "Host": "binder.test"}
    for _ in range(3):
        told = events(request(app, f"/build/{path}?build_token={token}", **accept).body)
        assert "Rate limit" not in told[-1]["message"]
    assert "Rate limit" not in events(request(app, f"/build/{path}", **accept).body)[-1]["message"]
    assert "Rate limit" in events(request(app, f"/build/{path}", **accept).body)[-1]["message"]


@pytest.mark.parametrize("accept", ["text/html", "", "text/event-stream, */*", "*/*"])
def test_any_other_accept_is_a_failed_event_with_status_200(make_app, accept):
    answer = request(make_app(), f"/build/git/{GONE}/HEAD", Accept=accept)
    message = "Missing Accept header: text/event-stream\n"
    assert answer.code == 200
    assert events(answer.body) == [{"phase": "failed", "status_code": 400, "message": message}]
    assert "X-Ratelimit-Limit" not in answer.headers


def test_an_accept_with_a_quality_passes(make_app):
    answer = request(make_app(), f"/build/git/{GONE}/HEAD", Accept="text/event-stream; q=0.9")
    assert "Error resolving ref" in events(answer.body)[0]["message"]
    assert "status_code" not in events(answer.body)[0]


def token(**changes) -> str:
    claims = {"aud": f"git/{GONE}/HEAD", "origin": "prime.example", "exp": time.time() + 60} | changes
    return jwt.encode(claims, bytes.fromhex(changes.pop("secret", SECRET)), algorithm="HS256")


def build_with_token(app: BinderHub, word: str) -> dict:
    path = f"/build/git/{GONE}/HEAD?build_token={word}"
    answer = request(app, path, Accept="text/event-stream", Origin="https://prime.example")
    return events(answer.body)[0] | {"limited": "X-Ratelimit-Limit" in answer.headers}


def test_a_good_token_passes_and_lifts_the_rate_limit(make_app):
    event = build_with_token(make_app(build_token_secret=SECRET), token())
    assert "status_code" not in event
    assert event["limited"] is False


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "cd" * 32},
        {"aud": "git/another/HEAD"},
        {"exp": 1},
        {"origin": "elsewhere.example"},
    ],
)
def test_a_wrong_token_is_refused(make_app, changes):
    event = build_with_token(make_app(build_token_secret=SECRET), token(**changes))
    assert (event["status_code"], event["message"]) == (403, "Invalid build token\n")


def test_without_the_secret_every_token_is_refused(make_app):
    assert build_with_token(make_app(), token())["status_code"] == 403


def test_rate_limit_is_per_address_and_said_in_an_event(make_app):
    app = make_app("c.RateLimiter.limit = 1\n")
    path = "/build/nope/a/HEAD"
    first = request(app, path, Accept="text/event-stream")
    second = request(app, path, Accept="text/event-stream")
    assert first.headers["X-Ratelimit-Remaining"] == "0"
    assert events(second.body)[0]["status_code"] == 429
    assert "X-Ratelimit-Limit" not in second.headers


def test_banned_specs_match_from_the_start_in_any_case(make_app):
    app = make_app("c.GitRepoProvider.banned_specs = ['.*NO-SUCH.*']\n")
    event = events(request(app, f"/build/git/{GONE}/HEAD", Accept="text/event-stream").body)[0]
    assert event["message"].startswith("Sorry, ")
    assert not event["message"].endswith("\n")


def test_build_only_is_refused_outside_api_only_mode(make_app):
    app = make_app("c.DockerRegistry.url = 'http://127.0.0.1:9'\n", image_prefix="r:5000/i-")
    path = f"/build/git/{GONE}/{COMMIT}?build_only=true"
    assert events(request(app, path, Accept="text/event-stream").body)[0]["status_code"] == 400


def test_cors_is_on_the_stream_only_when_configured(make_app):
    header = "Access-Control-Allow-Origin"
    path = "/build/nope/a/HEAD"
    assert header not in request(make_app(), path, Accept="text/event-stream").headers
    answer = request(make_app(cors_allow_origin="*"), path, Accept="text/event-stream")
    assert answer.headers[header] == "*"


def test_versions_name_the_build_image_and_say_that_this_is_a_double(make_app):
    app = make_app("c.KubernetesBuildExecutor.build_image = 'quay.io/x/r2d:1'\n")
    found = json.loads(request(app, "/versions").body)
    assert found["builder_info"] == {"build_image": "quay.io/x/r2d:1"}
    assert found["builder"] == "quay.io/x/r2d:1"
    assert "double" in found["binderhub"]


SUBCLASS = """
from binderhub.build import KubernetesBuildExecutor
from kubernetes import client

class Ours(KubernetesBuildExecutor):
    def get_builder_volumes(self):
        volumes, mounts = super().get_builder_volumes()
        return [v for v in volumes if v.name != "docker-config"], [m for m in mounts if m.name != "docker-config"]

c.BinderHub.build_class = Ours
"""


def load_chart_config(tmp_path, **values) -> Config:
    """What the chart's own configuration file makes of the values."""
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    text = (DOUBLE / "chart/files/binderhub_config.py").read_text()
    return text.replace("/etc/binderhub/config/values.yaml", str(path))


def test_a_build_class_of_extra_config_shapes_the_pod(make_app, tmp_path):
    executor = {"docker_host": None, "build_image": "r2d:1", "repo2docker_extra_args": ["--engine=x"]}
    text = load_chart_config(
        tmp_path,
        config={"KubernetesBuildExecutor": executor},
        extraConfig={"10-class": SUBCLASS},
    )
    app = make_app(text)
    build = app.build_class(
        parent=app, name="build-x", repo_url="git://h/r", ref=COMMIT, image_name="r:5000/i-x:1"
    )
    build.api = SimpleNamespace()
    spec = build.get_pod().spec
    assert spec.volumes == []
    assert spec.containers[0].args == [
        "jupyter-repo2docker",
        f"--ref={COMMIT}",
        "--image=r:5000/i-x:1",
        "--no-clean",
        "--no-run",
        "--json-logs",
        "--user-name=jovyan",
        "--user-id=1000",
        "--push",
        "--engine=x",
        "git://h/r",
    ]


def test_the_default_executor_mounts_docker_and_the_credential(make_app):
    volumes, mounts = KubernetesBuildExecutor(parent=make_app()).get_builder_volumes()
    assert [volume.name for volume in volumes] == ["docker-socket", "docker-config"]
    assert [mount.mount_path for mount in mounts] == ["/var/run/docker.sock", "/root/.docker/config.json"]


def test_snippets_run_in_the_order_of_their_names(make_app, tmp_path):
    snippets = {"b": "c.BinderHub.per_repo_quota += 1", "a": "c.BinderHub.per_repo_quota = 6"}
    assert make_app(load_chart_config(tmp_path, extraConfig=snippets)).per_repo_quota == 7


def test_a_broken_snippet_is_silent_and_loses_the_whole_configuration(make_app, tmp_path, capsys):
    text = load_chart_config(
        tmp_path,
        config={"BinderHub": {"hub_url": "https://hub.example/"}},
        extraConfig={"10-class": SUBCLASS, "20-broken": "import no_such_module"},
    )
    app = make_app(text)
    assert app.build_class is KubernetesBuildExecutor
    assert app.hub_url == ""
    assert "Exception while loading config file" in capsys.readouterr().err


def pods(*images: str) -> list[dict]:
    return [{"spec": {"containers": [{"image": image}]}} for image in images]


@pytest.mark.parametrize(
    ("running", "total", "repo_quota", "sentence"),
    [
        (("r/a:1",), 1, None, "Too many users on this BinderHub! Try again soon."),
        ((), 0, None, "Too many users on this BinderHub! Try again soon."),
        (("r/a:1", "r/b:1"), None, 1, "Too many users running git://h/a! Try again soon."),
    ],
)
def test_quotas_refuse_with_the_real_words(running, total, repo_quota, sentence):
    with pytest.raises(LaunchQuotaExceeded) as refused:
        judge(pods(*running), "r/a:2", total, repo_quota, "git://h/a")
    assert str(refused.value) == sentence


def test_another_repository_does_not_count_against_a_repositorys_quota():
    judge(pods("r/b:1", "r/b:2"), "r/a:1", 3, 1, "git://h/a")


@needs_recordings
@pytest.mark.parametrize(
    ("name", "path", "accept"),
    [
        ("build-accept-html", None, "text/html"),
        ("build-accept-none", None, ""),
        ("build-unknown-provider", None, "text/event-stream"),
        ("build-missing-ref", None, "text/event-stream"),
        ("build-banned", None, "text/event-stream"),
    ],
)
def test_refusals_are_word_for_word_those_of_the_recordings(make_app, name, path, accept):
    app = make_app("c.GitRepoProvider.banned_specs = ['.*bad.git.*']\n")
    entries = recorded(name)
    answer = request(app, entries[0]["request"]["path"], Accept=accept)
    assert events(answer.body) == recorded_events(name)
    theirs = {key for key, _ in entries[1]["headers"]} - {"Etag", "Content-Length", "Transfer-Encoding"}
    assert theirs <= set(answer.headers)
    assert answer.code == entries[1]["status"]
