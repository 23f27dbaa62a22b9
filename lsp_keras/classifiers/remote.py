"""A served model as a classifier for black-box attacks."""

from typing import TYPE_CHECKING, Any

from lsp_keras.storage import fingerprint
from lsp_keras.validation import InputError

if TYPE_CHECKING:
    from lsp_keras.serving.client.client import Client, ClientError

_SIGNATURE = "serving_default"


class RemoteClassifier:
    """Logits, or probabilities, of a model behind TensorFlow Serving's REST or gRPC API.

    It answers inside TensorFlow graphs and has no gradients.

    Args:
        client: Client of the served model, whose `serving_default` takes one batch of float32
            images.
        source: The URL, for error messages.
        sample: Images sent once to learn the number of classes and to tell the model from others,
            float32 `(n, height, width, channels)` on the model's scale.
        output: Name of the output to read, see `lsp_keras.classifiers.choose_output`.

    Attributes:
        has_gradients: Whether its gradients can be asked for, which they cannot.
        error: What the server last answered instead of logits, or `None`.
        fingerprint: Digest of the answers to the sample: a server shows no weights.

    Raises:
        InputError: The signature is another.
        ClientError: The server did not answer, or not to such images.
    """

    has_gradients = False

    def __init__(
        self, client: "Client", source: str, sample: Any, output: str | None = None
    ) -> None:
        from lsp_keras.classifiers.outputs import choose_output

        signature = client.signatures().get(_SIGNATURE)
        if signature is None or list(signature.inputs.values()) != ["DT_FLOAT"]:
            raise InputError(
                f"The model at {source} must have a signature {_SIGNATURE} with one float32 input."
            )
        self.error: ClientError | None = None
        self._client = client
        self._output = choose_output(source, list(signature.outputs), output)
        answers = self._ask(sample)
        self._num_classes = answers.shape[-1]
        self.fingerprint = fingerprint(sample, answers)

    def __call__(self, images: Any) -> Any:
        """`(batch, classes)`."""
        import tensorflow as tf

        outputs = tf.numpy_function(self._ask, [images], tf.float32)
        outputs.set_shape([images.shape[0], self._num_classes])
        return outputs

    def _ask(self, images: Any) -> Any:
        import numpy as np

        from lsp_keras.serving.client.client import ClientError

        try:
            outputs = self._client.predict(images, signature=_SIGNATURE)
        except ClientError as error:
            # TensorFlow hides it in an error of its own.
            self.error = error
            raise
        return np.asarray(outputs[self._output], np.float32)
