"""Models that are measured, and the images that they are measured on."""
