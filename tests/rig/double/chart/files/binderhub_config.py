"""Configuration of the binder pod: the chart's values as traits, then each snippet of extraConfig by name."""

from pathlib import Path

import yaml

values = yaml.safe_load(Path("/etc/binderhub/config/values.yaml").read_text())
for section, settings in (values.get("config") or {}).items():
    c[section].update(settings)  # noqa: F821
builder = values.get("imageBuilderType")
if builder in ("dind", "pink"):
    name = {"dind": "docker", "pink": "podman"}[builder]
    c.BinderHub.build_docker_host = f"unix://{values[builder]['hostSocketDir']}/{name}.sock"  # noqa: F821
for name, snippet in sorted((values.get("extraConfig") or {}).items()):
    print(f"Loading extra config: {name}")
    exec(snippet)
