"""Random changes of training images: drawing the values and applying them are two functions."""
