"""Image files as pixels: equal to what Pillow, a decoder of other people, shows on white."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps, ImageSequence

from lsp_keras.ops.image_files.decoding import MAX_PIXELS, decode_pixels, to_channels
from lsp_keras.ops.image_files.gif import opaque_gif

PIXELS = np.kron(
    np.random.default_rng(0).integers(0, 256, (6, 8, 4)), np.ones((4, 4, 1), int)
).astype(np.uint8)
RGB = Image.fromarray(PIXELS[..., :3])
RGBA = Image.fromarray(PIXELS)
PALETTE = RGB.quantize(16)
OPAQUE = RGB.convert("RGBA")


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def shown_on_white(contents: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(contents))).convert("RGBA")
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image)
    return np.asarray(page.convert("RGB"))


FILES = {
    "jpeg": encoded(RGB, "JPEG"),
    "jpeg of quality 95": encoded(RGB, "JPEG", quality=95),
    "progressive jpeg without subsampling": encoded(RGB, "JPEG", progressive=True, subsampling=0),
    "gray jpeg": encoded(RGB.convert("L"), "JPEG"),
    "CMYK jpeg": encoded(RGB.convert("CMYK"), "JPEG", quality=95),
    "png": encoded(RGB, "PNG"),
    "gray png": encoded(RGB.convert("L"), "PNG"),
    "black and white png": encoded(RGB.convert("1"), "PNG"),
    "transparent png": encoded(RGBA, "PNG"),
    "transparent gray png": encoded(RGBA.convert("LA"), "PNG"),
    "palette png": encoded(PALETTE, "PNG"),
    "palette png of 200 colors": encoded(RGB.quantize(200), "PNG"),
    "palette png, one color transparent": encoded(PALETTE, "PNG", transparency=3),
    "gray png, one level transparent": encoded(RGB.convert("L"), "PNG", transparency=100),
    "bmp": encoded(RGB, "BMP"),
    "bmp of 32 bits": encoded(OPAQUE, "BMP"),
    "gif": encoded(RGB, "GIF"),
    "transparent gif": encoded(PALETTE, "GIF", transparency=3),
    "animated gif": encoded(
        PALETTE, "GIF", transparency=3, save_all=True, append_images=[PALETTE.rotate(180)]
    ),
}


@pytest.fixture(scope="module")
def decode():
    return tf.function(decode_pixels, input_signature=[tf.TensorSpec((), tf.string)])


@pytest.mark.parametrize("name", FILES)
def test_files_are_what_pillow_shows_on_white(decode, name):
    np.testing.assert_array_equal(decode(FILES[name]), shown_on_white(FILES[name]))


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_photograph_is_applied(decode, orientation, endian):
    tags = Image.Exif()
    tags.endian = endian
    # Other tags precede it, as in every camera's files.
    tags[0x010F], tags[0x0112] = "a maker with a long name", orientation
    contents = encoded(RGB, "JPEG", quality=95, exif=tags)
    pixels = decode(contents).numpy()
    assert pixels.shape == ((24, 32, 3) if orientation < 5 else (32, 24, 3))
    np.testing.assert_array_equal(pixels, shown_on_white(contents))


def test_a_black_drawing_on_a_transparent_ground_is_black_on_white(decode):
    drawing = np.zeros((8, 8, 4), np.uint8)
    drawing[2:6, 3] = (0, 0, 0, 255)
    pixels = decode(encoded(Image.fromarray(drawing), "PNG")).numpy()
    np.testing.assert_array_equal(pixels, np.where(drawing[..., 3:] == 255, 0, 255).repeat(3, -1))


def test_of_16_bits_the_upper_8_are_kept(decode):
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    pixels = decode(encoded(Image.fromarray(levels), "PNG")).numpy()
    np.testing.assert_array_equal(pixels, np.repeat(levels[..., None] // 256, 3, -1))


@pytest.mark.parametrize("name", FILES)
def test_one_channel_is_the_gray_of_the_colors(name):
    gray = decode_pixels(tf.constant(FILES[name]), 1).numpy()
    expected = np.asarray(Image.fromarray(shown_on_white(FILES[name])).convert("L"))
    np.testing.assert_array_equal(gray[..., 0], expected)


def test_channels_are_repeated_or_joined():
    gray = tf.constant([[[7], [250]]], tf.uint8)
    color = to_channels(gray, 3)
    np.testing.assert_array_equal(color, [[[7] * 3, [250] * 3]])
    np.testing.assert_array_equal(to_channels(color, 1), gray)
    assert to_channels(gray, 1) is gray


OTHER_FORMATS = {
    "TIFF": encoded(RGB, "TIFF"),
    "WebP": encoded(RGB, "WEBP"),
    "PPM": encoded(RGB, "PPM"),
    "text": b"no image at all",
    "nothing": b"",
    "one byte": b"\xff",
}


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_other_formats_are_refused_in_a_sentence(decode, name):
    with pytest.raises(tf.errors.InvalidArgumentError, match="Send a JPEG, PNG, BMP or GIF file"):
        decode(OTHER_FORMATS[name])


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (encoded(PALETTE, "BMP"), "must have 24 or 32 bits per pixel"),
        (b"GIF89a", "first frame of the GIF does not cover the whole image"),
        (FILES["png"][:-60], "PNG"),
        (FILES["jpeg"][:200], "JPEG"),
        (b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II", "JPEG"),
        (b"BM", "24 or 32"),
    ],
)
def test_damaged_files_are_errors(decode, contents, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(contents)


def claiming(name: str, height: int, width: int) -> bytes:
    """A small file whose header states another size."""
    contents = bytearray(FILES[name])
    if "png" in name:
        contents[16:24] = struct.pack(">II", width, height)
    elif "gif" in name:
        contents[6:10] = struct.pack("<HH", width, height)
    else:
        frame = contents.index(b"\xff\xc0") + 5
        contents[frame : frame + 4] = struct.pack(">HH", height, width)
    return bytes(contents)


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [
        ("png", 2**13, 2**13 + 1),
        ("png", 2**31 - 1, 2**31 - 1),
        ("palette png", 1, 2**27),
        ("transparent png", 2**12, 2**12 + 1),
        ("palette png, one color transparent", 2**12 + 1, 2**12),
        ("jpeg", 65500, 65500),
        ("gray jpeg", 2**13 + 1, 2**13),
        ("gif", 65535, 65535),
    ],
)
def test_small_files_cannot_claim_large_images(decode, name, height, width):
    message = rf"may have {MAX_PIXELS} pixels.*\[{height}\] \[{width}\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(claiming(name, height, width))


def num_frames(contents: bytes) -> int:
    return sum(1 for _ in ImageSequence.Iterator(Image.open(io.BytesIO(contents))))


def test_of_an_animation_only_the_first_frame_is_decoded():
    first = np.arange(400, dtype=np.uint8).reshape(20, 20)
    rest = [Image.fromarray(first + number).convert("P") for number in range(1, 60)]
    contents = encoded(
        Image.fromarray(first).convert("P"), "GIF", save_all=True, append_images=rest
    )
    assert num_frames(contents) == 60
    alone = opaque_gif(tf.constant(contents)).numpy()
    assert len(alone) < len(contents) / 20
    assert num_frames(alone) == 1
    np.testing.assert_array_equal(decode_pixels(tf.constant(contents)), shown_on_white(contents))


@pytest.mark.parametrize("seed", range(20))
def test_changed_bytes_give_pixels_or_an_error_but_never_end_the_process(decode, seed):
    generator = np.random.default_rng(seed)
    for contents in FILES.values():
        damaged = bytearray(contents)
        # Headers lie in front; what comes later is pixels.
        for position in generator.integers(3, min(len(damaged), 200), generator.integers(1, 9)):
            damaged[position] = generator.integers(256)
        try:
            pixels = decode(bytes(damaged))
        except tf.errors.OpError:
            continue
        assert pixels.dtype == tf.uint8
        assert pixels.shape[-1] == 3
