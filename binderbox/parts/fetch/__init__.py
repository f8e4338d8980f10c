"""What brings artifacts from the Internet: on the node, and on a client that makes a bundle."""
