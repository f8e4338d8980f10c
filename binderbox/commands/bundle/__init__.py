"""Bundles: made from the Internet by the rules by which a host installs from it, and looked through."""
