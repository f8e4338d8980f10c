"""A double of JupyterHub with its proxy and KubeSpawner, as BinderHub's chart sets them up: no sign-in, temporary users.

One program serves the hub's API on port 8081 and the proxy on port 8000.
"""

__version__ = "5.3.0+binderbox.double"
