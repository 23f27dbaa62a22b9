"""What an operator sees: counts, a line for each request, readiness."""
