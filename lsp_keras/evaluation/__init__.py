"""Clean and robust accuracy, and the records they are reported in."""
