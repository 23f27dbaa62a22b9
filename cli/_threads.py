"""TensorFlow's threads, which must be chosen before its first operator runs."""

import os


def one_for_each_operator() -> None:
    """Leaves the cores to attacks, which give each a batch of its own, unless the user chose.

    That is faster than sharing every operator among the cores.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
