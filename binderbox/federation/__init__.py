"""The federation: the redirector's rules, what its members are told by them, and edits of its deployment repository. Pure."""
