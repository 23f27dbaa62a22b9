"""Pictures of runs, diagnoses, neighbors and datasets."""
