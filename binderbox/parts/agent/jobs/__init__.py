"""What the node does by itself, on timers of systemd: `follow` keeps it equal to the prime.

It needs the distribution's Python (3.10 or newer), its python3-yaml, and the pure modules that deploys/agent.py brings
along. Why not the whole package: docs/decisions/agent-travels-light.md.
"""
