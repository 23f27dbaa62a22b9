"""Mining of each training image's neighbors in a feature space."""
