"""The daemon: config, store, schedule, drift, metrics, web, CLI."""
