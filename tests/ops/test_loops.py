import threading
import time

import numpy as np
import tensorflow as tf

from lsp_keras.ops.loops import in_turn


def test_iterations_never_overlap() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def work(count):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return np.float32(1.0)

    def independent(count, total):
        one = tf.numpy_function(work, [count], tf.float32, stateful=False)
        return count + 1, total + tf.ensure_shape(one, [])

    @tf.function
    def loop():
        return in_turn(lambda count, _: count < 20, independent, (tf.constant(0), 0.0))[1]

    assert float(loop()) == 20.0
    assert most == 1
