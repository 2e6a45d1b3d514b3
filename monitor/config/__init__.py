"""The one YAML file: read, checked as a whole, and never trusted twice."""
