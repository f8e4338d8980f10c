"""Every kind of repository that people bring, each launched on a real node."""
