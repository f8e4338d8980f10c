"""What is asked about artifacts, and the commands that tell of them."""
