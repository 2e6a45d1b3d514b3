"""What Plumbline remembers, on SQLite or PostgreSQL."""
