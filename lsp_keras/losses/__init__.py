"""Pure formulas that return one value per example."""
