"""Is a measured robustness real? The signs of gradient masking, measured and judged."""
