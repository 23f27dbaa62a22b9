"""Tables of runs: find or train them, find or make their records, and write what they say."""
