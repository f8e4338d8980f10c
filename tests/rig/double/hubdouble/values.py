"""The hub's configuration: the chart's `jupyterhub` values, and the traits that its extraConfig sets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from traitlets.config import Config, LazyConfigValue

from hubdouble.kubespawner import BinderSpawner, KubeSpawner

PATH = Path("/usr/local/etc/jupyterhub/values.yaml")


@dataclass(frozen=True)
class Values:
    data: dict[str, Any]
    traits: Config = field(default_factory=Config)

    @classmethod
    def load(cls, path: Path = PATH) -> "Values":
        return cls.make(yaml.safe_load(path.read_text()))

    @classmethod
    def make(cls, data: dict[str, Any]) -> "Values":
        """Run each snippet of `hub.extraConfig` by name; one that raises ends the program, as it ends the hub."""
        values = cls(data)
        c = values.traits
        c.JupyterHub.spawner_class = BinderSpawner
        c.KubeSpawner.start_timeout = values.get("singleuser.startTimeout", 300)
        for section, settings in values.get("hub.config", {}).items():
            c[section].update(settings)
        for name, snippet in sorted(values.get("hub.extraConfig", {}).items()):
            print(f"Loading extra config: {name}", flush=True)
            exec(snippet, {"c": c, "get_config": lambda: c})
        return values

    def get(self, path: str, default: Any = None) -> Any:
        """`get("cull.timeout")`; the default also stands for an explicit null."""
        value: Any = self.data
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None else value

    def trait(self, sections: str, name: str, default: Any = None) -> Any:
        """The last of these classes that has the trait says its value."""
        value = default
        for section in sections.split():
            if section in self.traits and name in self.traits[section]:
                found = self.traits[section][name]
                value = found.get_value(default) if isinstance(found, LazyConfigValue) else found
        return value

    def spawner_class(self) -> type[KubeSpawner]:
        return self.traits.JupyterHub.spawner_class  # type: ignore[no-any-return]

    def database(self) -> str:
        """Path of the sqlite file; `:memory:` forgets users and routes with every restart."""
        kind, url = self.get("hub.db.type", "sqlite-pvc"), self.get("hub.db.url", "")
        if kind == "sqlite-pvc":
            return "/srv/jupyterhub/jupyterhub.sqlite"
        if kind == "sqlite-memory" or url == "sqlite://":
            return ":memory:"
        if url.startswith("sqlite:///"):
            return str(url.removeprefix("sqlite:///"))
        raise ValueError(f"hub.db.type {kind} with url {url!r}: the double has sqlite only")
