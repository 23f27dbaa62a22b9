"""Datasets of TensorFlow Datasets (TFDS), and its builder for Tiny ImageNet."""
