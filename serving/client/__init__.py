"""Client for this server and for TensorFlow Serving, over REST or gRPC."""

from lsp_keras.serving.client.client import Client, ClientError, Prediction, Retries

__all__ = ["Client", "ClientError", "Prediction", "Retries"]
