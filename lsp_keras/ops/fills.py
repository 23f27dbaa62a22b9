"""How much of its room each entry of a shortest move takes."""

import tensorflow as tf

from lsp_keras.ops.norms import expand

# Newton's steps on a concave piecewise linear function end after finitely many; five are common.
_MOST_STEPS = 40
_RELATIVE_PRECISION = 1e-6


def fill_proportionally(
    weights: tf.Tensor, rates: tf.Tensor, room: tf.Tensor, needed: tf.Tensor
) -> tf.Tensor:
    """Entries `min(scale * rate, room)` with the smallest scale that gains what is needed.

    What the entries gain is a concave piecewise linear function of the scale, so Newton's method
    from 0 climbs to the solution without passing it.

    Args:
        weights: What each entry gains by its size, 0 or more, `(batch, ...)`.
        rates: How fast each entry grows, likewise.
        room: Largest size of each entry, likewise.
        needed: What all entries must gain together, `(batch,)`.

    Returns:
        Sizes, likewise; the whole room where even that gains too little.
    """
    axes = list(range(1, weights.shape.rank))
    slopes, most = weights * rates, weights * room

    def newton(
        count: tf.Tensor, scale: tf.Tensor, _unfinished: tf.Tensor, _exhausted: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        # Gain of each entry at this scale, capped by its room; f(scale) is their sum, (batch,).
        wanted = expand(scale, slopes) * slopes
        missing = needed - tf.reduce_sum(tf.minimum(wanted, most), axis=axes)
        # f'(scale): entries that have filled their room gain no more.
        slope = tf.reduce_sum(tf.where(wanted < most, slopes, 0.0), axis=axes)
        lacks = missing > _RELATIVE_PRECISION * needed
        unfinished = lacks & (slope > 0.0)
        scale += tf.where(unfinished, tf.math.divide_no_nan(missing, slope), 0.0)
        return count + 1, scale, unfinished, lacks & (slope <= 0.0)

    everywhere = tf.ones_like(needed, tf.bool)
    _, scale, _, exhausted = tf.while_loop(
        lambda count, _, unfinished, __: tf.reduce_any(unfinished) & (count < _MOST_STEPS),
        newton,
        (tf.constant(0), tf.zeros_like(needed), everywhere, everywhere),
    )
    # Where every entry is full and still something lacks, the whole room is the answer.
    sizes = tf.minimum(expand(scale, rates) * rates, room)
    return tf.where(expand(exhausted, room), room, sizes)


def fill_by_weight(weights: tf.Tensor, room: tf.Tensor, needed: tf.Tensor) -> tf.Tensor:
    """Entries that take their room from the largest weight on, until the gain is enough.

    Args:
        weights: What each entry gains by its size, 0 or more, `(batch, ...)`.
        room: Largest size of each entry, likewise.
        needed: What all entries must gain together, `(batch,)`.

    Returns:
        Sizes, likewise; the whole room where even that gains too little.
    """
    batch = tf.shape(weights)[0]
    # (batch, entries), the most rewarding entries first.
    order = tf.argsort(tf.reshape(weights, [batch, -1]), axis=1, direction="DESCENDING")
    gains = tf.gather(tf.reshape(weights * room, [batch, -1]), order, batch_dims=1)
    # What lacks before each entry; it takes all of its room, a part, or nothing.
    missing = needed[:, tf.newaxis] - tf.cumsum(gains, axis=1, exclusive=True)
    shares = tf.clip_by_value(tf.math.divide_no_nan(missing, gains), 0.0, 1.0)
    # The inverse permutation brings the shares back to their entries.
    places = tf.argsort(order, axis=1)
    shares = tf.gather(shares, places, batch_dims=1)
    return room * tf.reshape(shares, tf.shape(room))
