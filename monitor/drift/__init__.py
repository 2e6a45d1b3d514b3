"""Drift: whether a stream has changed, at a rate of false alarms that was set in advance. Pure maths."""
