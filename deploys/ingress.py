"""What makes the ingress answer as drained: a file in the directory that it watches. No pod restarts, no helm runs."""

from __future__ import annotations

from pyinfra.api import HiddenValue, deploy

from binderbox import layout
from binderbox.deploys.operations import files
from binderbox.parts.ingress.drained import DrainInputs

PLACE = "# The ingress sees its chart's own file in this place. Other files *.yml here are routes as well.\n"


@deploy("Tell the ingress")
def tell_ingress(inputs: DrainInputs) -> None:
    """Bring the ingress to what the node says of itself; it notices within 2 s."""
    routes(inputs)


def routes(inputs: DrainInputs) -> None:
    """The operations of it, for a deploy that does more."""
    texts = {f"{layout.INGRESS_ROUTES}/routes.yml": files.Content(PLACE)}
    if inputs.routes is not None:
        texts[layout.DRAIN_ROUTES_FILE] = files.Content(HiddenValue(inputs.routes))  # it may hold the key
    files.contents(texts)
    if inputs.routes is None:
        files.absent(name="let the ingress answer as in rotation", paths=(layout.DRAIN_ROUTES_FILE,))
