"""Classifiers: [0, 1] images in, logits out, normalization inside."""
