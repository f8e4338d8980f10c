"""One JSON line per launch, to the handlers that the configuration gives: no user data in it."""

import json
import logging
from datetime import UTC, datetime
from typing import Any as Anything

from traitlets import Any
from traitlets.config import LoggingConfigurable


class EventLog(LoggingConfigurable):
    """+ handlers_maker: a function of this object that returns logging handlers, or None for no log."""

    handlers_maker = Any(None, allow_none=True, config=True)

    def __init__(self, **kwargs: Anything) -> None:
        super().__init__(**kwargs)
        self.sink = logging.getLogger("binderhub-events")
        self.sink.propagate = False
        self.sink.setLevel(logging.INFO)
        for handler in self.handlers_maker(self) if self.handlers_maker else []:
            handler.setFormatter(logging.Formatter("%(message)s"))
            self.sink.addHandler(handler)

    def emit(self, schema: str, version: int, event: dict[str, Anything]) -> None:
        stamp = datetime.now(tz=UTC).isoformat().replace("+00:00", "Z")
        self.sink.info(json.dumps({"timestamp": stamp, "schema": schema, "version": version, **event}))
