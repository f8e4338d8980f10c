"""The running demo host, for running deploys by hand.

binderbox demo up
pyinfra inventories/demo.py fact server.LinuxDistribution
"""

from binderbox.commands import demo_files as demo

destination, ssh_config = demo.resolve(demo.ALIAS)
hosts = [(destination, {"ssh_config_file": str(ssh_config)})]
