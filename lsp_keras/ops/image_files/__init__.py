"""Image files: their pixels, by operators that a served model carries along."""
