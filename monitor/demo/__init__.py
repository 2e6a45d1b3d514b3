"""The demo and its simulated endpoint."""
