"""Image datasets as arrays in memory, and the batches made from them."""
