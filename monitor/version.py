"""Which Plumbline this is."""

from importlib.metadata import version

VERSION = version("plumbline")
