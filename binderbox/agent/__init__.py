"""Jobs that the node runs by itself on timers; the standard library, PyYAML and the pure modules that travel with it."""
