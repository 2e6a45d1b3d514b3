"""Pages, health, metrics and the API on one port."""
