"""What a build tells its request: a change of the pod's phase, or a line of its log."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    BUILD_STATUS_CHANGE = 1
    LOG_MESSAGE = 2


class BuildStatus(Enum):
    PENDING = "pending"
    RUNNING = "running"
    BUILT = "built"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ProgressEvent:
    kind: Kind
    payload: BuildStatus | str  # a log line is JSON text
