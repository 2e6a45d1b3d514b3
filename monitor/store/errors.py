"""Errors of the store.

StoreError
├── StoreUnavailable     the database cannot be reached, or is busy for longer than we wait
├── StoreInUse           another daemon runs on this SQLite file
├── SchemaOutdated       the tables are older than this program
├── SchemaUnknown        the tables are newer than this program, or not ours
└── Superseded           somebody else took over: the fence or the sequence moved on
"""


class StoreError(Exception):
    """Base of what the store raises on purpose. It never says anything about an endpoint."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, or is busy for longer than we wait."""


class StoreInUse(StoreError):
    """Another daemon runs on this SQLite file."""


class SchemaOutdated(StoreError):
    """The tables are older than this program."""


class SchemaUnknown(StoreError):
    """The tables are newer than this program, or not ours."""


class Superseded(StoreError):
    """Somebody else took over this work: nothing of ours was written."""
