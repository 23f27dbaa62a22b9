"""Calls of the models: threads, their queue, and batches made of many requests."""
