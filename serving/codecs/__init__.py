"""Tensors as JSON and Protocol Buffers, both ways."""
