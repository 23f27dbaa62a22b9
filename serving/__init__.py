"""Server and client for SavedModels, with the API of TensorFlow Serving."""
