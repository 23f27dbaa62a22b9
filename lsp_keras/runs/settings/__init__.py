"""What a run is asked for: its settings, and the recipes and files that state them."""
