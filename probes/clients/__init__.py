"""The clients that ship with Plumbline, one file each, and what they share."""
