"""What snippets of the hub's configuration import from JupyterHub."""
