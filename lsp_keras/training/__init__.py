"""Training methods and what they need: callbacks, schedules, checkpoints."""
