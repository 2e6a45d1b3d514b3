"""The scorers that ship with Plumbline."""
