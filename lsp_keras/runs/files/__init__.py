"""What a run leaves on disk, and where it is found again."""
