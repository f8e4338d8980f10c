"""Starts the double: `python -m binderhub --config FILE`."""

import os
import signal

from binderhub.app import BinderHub

# the first process of a container has no default for it
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
BinderHub.launch_instance()
