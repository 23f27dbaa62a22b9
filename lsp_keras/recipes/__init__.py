"""Training runs as typed records, read from TOML and carried out."""
