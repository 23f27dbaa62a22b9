"""Running any model over many images: in batches, in shares for each core, folded."""
