"""`/metrics`: of all that the real one counts, the launches, and when the process began."""

import time
from collections import Counter

from tornado.web import RequestHandler

STARTED_S = time.time()
launches: Counter[tuple[str, int]] = (
    Counter()
)  # (status, retries); a failed try that is followed by another is "retry"


class MetricsHandler(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; version=0.0.4")
        lines = [f"process_start_time_seconds {STARTED_S:.2f}"]
        lines += [
            f'binderhub_launch_time_seconds_count{{retries="{retries}",status="{status}"}} {float(count)}'
            for (status, retries), count in sorted(launches.items())
        ]
        self.write("\n".join([*lines, ""]))
