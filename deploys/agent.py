"""The agent: jobs that the node runs by itself. It travels as a directory of modules, under the names they have here."""

from __future__ import annotations

from importlib.resources import files as resources

from pyinfra.api import deploy
from pyinfra.operations import systemd

from binderbox import agentfiles, layout
from binderbox.agentfiles import JOBS, AgentInputs
from binderbox.deploys.operations import files

# Pure modules that the agent shares with what runs on a client; a test holds that nothing else is imported.
SHARED = ("launch", "layout", "profile", "release", "samples")
SHARED_FEDERATION = ("drift", "follow", "followed", "launches", "watch")


@deploy("Install the agent")
def install_agent(inputs: AgentInputs) -> None:
    """Place the agent and its timers. A run that is under way goes on; the next one has what changed."""
    files.contents({path: files.Content(text) for path, text in agent_tree().items()})
    files.directories({layout.AGENT_DATA: 0o700})
    files.contents({layout.AGENT_CONFIG: files.Content(inputs.config, 0o600)})
    for job in JOBS:
        units = files.contents(
            {
                f"{layout.SYSTEMD}/{job.service}": files.Content(agentfiles.render_service(job)),
                f"{layout.SYSTEMD}/{job.timer}": files.Content(agentfiles.render_timer(job)),
            }
        )
        changed = files.any_changed(units)
        systemd.daemon_reload(name=f"read the units of the job {job.name}", _if=changed)
        restart = f"restart {job.timer} with its new settings"
        systemd.service(name=restart, service=job.timer, restarted=True, _if=changed)
        systemd.service(name=f"start {job.timer}", service=job.timer, running=True, enabled=True)


def agent_tree() -> dict[str, str]:
    """Path on the node to text: a directory for the agent's own PYTHONPATH."""
    package = {f"agent/{name}": text for name, text in _sources("binderbox.agent").items()}
    federation = _sources("binderbox.federation")
    package |= {f"federation/{name}": federation[name] for name in _files(SHARED_FEDERATION)}
    top = _sources("binderbox")
    package |= {name: top[name] for name in _files(SHARED)}
    package |= {"__init__.py": "", "federation/__init__.py": ""}
    tree = {f"{layout.AGENT}/binderbox/{name}": text for name, text in package.items()}
    sample = resources("binderbox") / "sample"
    tree |= {
        f"{layout.AGENT}/sample/{one.name}": one.read_text("utf-8")
        for one in sample.iterdir()
        if one.is_file()
    }
    return dict(sorted(tree.items()))


def _files(names: tuple[str, ...]) -> list[str]:
    return [f"{name}.py" for name in names]


def _sources(package: str) -> dict[str, str]:
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in resources(package).iterdir()
        if entry.name.endswith(".py")
    }
