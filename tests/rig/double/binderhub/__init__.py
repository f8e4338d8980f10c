"""A double of BinderHub for binderbox's rig: it keeps BinderHub's contract, traps included, and is not BinderHub.

It carries BinderHub's module names, because the configuration that binderbox writes imports from them.
What it must do was read in the real program and seen in recordings of it.
"""

__version__ = "0.0.1.dev0+binderbox.double"
