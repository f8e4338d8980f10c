"""The build door: a service of the node between build pods and BuildKit. Standard library and h2, Python 3.10 or newer."""
