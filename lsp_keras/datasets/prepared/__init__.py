"""Datasets in files that are read by index: `prepared:PATH`."""
