"""`plumbline demo`: a simulated endpoint that gets worse, and the daemon that notices."""
