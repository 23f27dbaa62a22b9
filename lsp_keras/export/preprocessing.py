"""Graph functions that turn what a client sends into the images a classifier takes."""

import tensorflow as tf

from lsp_keras.ops.image_files.decoding import pixel_decoder
from lsp_keras.ops.resizing import fit_tensor

RANGE_MESSAGE = (
    "`images` must hold finite pixel values in [0, 1]. Divide by 255, or send uint8 images to "
    "the signature serving_uint8. Smallest and largest value received:"
)
# As in TensorFlow's own image datasets.
ENCODED_FEATURE = "image/encoded"


def check_batch_size(inputs: tf.Tensor, limit: int | None) -> tf.Tensor:
    """The inputs, or an error where there are more rows than the limit.

    Args:
        inputs: Inputs of any type, `(batch, ...)`.
        limit: Largest number of rows, `None` for any number.
    """
    if limit is None:
        return inputs
    rows = tf.shape(inputs)[0]
    message = f"The batch is larger than this model's limit of {limit}. Rows received:"
    with tf.control_dependencies([tf.debugging.Assert(rows <= limit, [message, rows])]):
        return tf.identity(inputs)


def check_pixels(images: tf.Tensor) -> tf.Tensor:
    """The images, or an error where a pixel is NaN or outside [0, 1].

    Args:
        images: Images, float32 `(batch, height, width, channels)`.

    Returns:
        The same tensor; evaluating it fails with `InvalidArgumentError` for bad pixels.
    """
    # NaN compares false, so it fails here too.
    inside = tf.reduce_all((images >= 0.0) & (images <= 1.0))
    extremes = [tf.reduce_min(images), tf.reduce_max(images)]
    with tf.control_dependencies([tf.debugging.Assert(inside, [RANGE_MESSAGE, *extremes])]):
        return tf.identity(images)


def scale_pixels(images: tf.Tensor) -> tf.Tensor:
    """uint8 images on the [0, 1] scale as float32."""
    return tf.cast(images, tf.float32) / 255.0


def decode_images(
    image_bytes: tf.Tensor, image_shape: tuple[int, int, int], resize: str
) -> tf.Tensor:
    """Images from encoded files, by the operators that decoded the files that were trained on.

    Args:
        image_bytes: Files that `lsp_keras.ops.image_files.decoding` reads, string `(batch,)`.
        image_shape: Shape of each resulting image, `(height, width, channels)`.
        resize: How a file of another size is brought to it, see `lsp_keras.ops.resizing`.

    Returns:
        float32 `(batch, height, width, channels)` in [0, 1].
    """
    *size, channels = image_shape
    pixels_of = pixel_decoder(channels)

    def decode(contents: tf.Tensor) -> tf.Tensor:
        # Rounded to whole levels, as the images that were trained on are kept.
        return fit_tensor(pixels_of(contents), (size[0], size[1]), resize)

    # Few at a time: each may have many pixels until it is resized.
    pixels = tf.map_fn(
        decode,
        image_bytes,
        fn_output_signature=tf.TensorSpec(image_shape, tf.uint8),
        parallel_iterations=4,
    )
    return scale_pixels(pixels)


def encoded_images(examples: tf.Tensor) -> tf.Tensor:
    """Encoded files in serialized `tf.Example`s.

    Args:
        examples: Serialized examples, string `(batch,)`, each with the feature `image/encoded`.

    Returns:
        string `(batch,)`.
    """
    features = {ENCODED_FEATURE: tf.io.FixedLenFeature((), tf.string)}
    return tf.io.parse_example(examples, features)[ENCODED_FEATURE]
