"""Server and client for SavedModels, with the API of TensorFlow Serving."""

from lsp_keras.serving.client.client import Client, ClientError, Prediction, Retries

__all__ = ["Client", "ClientError", "Prediction", "Retries"]
