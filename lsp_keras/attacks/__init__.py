"""Adversarial attacks under one contract."""
