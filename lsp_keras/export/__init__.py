"""SavedModels in the layout that TensorFlow Serving reads."""
