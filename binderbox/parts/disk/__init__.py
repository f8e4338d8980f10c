"""The node's file systems: what each part takes of them, and what gives way before Kubernetes evicts anybody."""
