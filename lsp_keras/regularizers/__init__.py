"""Terms that any training method can add."""
