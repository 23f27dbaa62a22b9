"""How sure of itself a classifier is, and what perturbations change inside it."""
