"""The boxes of the Vagrantfile, for running deploys by hand.

vagrant ssh-config > build/vagrant.ssh
pyinfra inventories/vagrant.py fact server.LinuxDistribution
"""

hosts = [(name, {"ssh_config_file": "build/vagrant.ssh", "_sudo": True}) for name in ("ubuntu", "debian")]
