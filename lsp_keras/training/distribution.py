"""Training on several replicas, of one machine or several, by `tf.distribute`."""

import os
import shutil
from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from lsp_keras.choices import DISTRIBUTIONS
from lsp_keras.methods import RobustTrainer
from lsp_keras.ops.workers import Workers
from lsp_keras.validation import InputError, check_choice


def make_strategy(name: str, environment: Mapping[str, str] = os.environ) -> tf.distribute.Strategy:
    """The strategy of a name; made before any other work, since collectives are set up with it.

    Args:
        name: Devices that share each batch: `"none"`; `"mirrored"`, all GPUs of this machine, or
            its logical processors where it has none; `"multi_worker"`, the processes that
            `$TF_CONFIG` names; `"slurm"`, the tasks of an `srun`; `"auto"`, whichever of them the
            process finds itself in.
        environment: Variables of the process.

    Raises:
        InputError: There is no such name, or nothing tells who the other workers are.
    """
    name = check_choice("distribute", name, DISTRIBUTIONS)
    name = _found(environment) if name == "auto" else name
    if name != "slurm":
        # There the cluster says first which GPUs are this task's.
        grow_memory()
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        return tf.distribute.MirroredStrategy(
            [device.name for device in tf.config.list_logical_devices(kind)]
        )
    if name == "slurm":
        if "SLURM_PROCID" not in environment:
            raise InputError("--distribute slurm is for the tasks of an srun: none is running.")
        resolver = slurm_resolver(environment)
        resolver.cluster_spec()
        grow_memory()
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    if "TF_CONFIG" not in environment:
        raise InputError(
            "--distribute multi_worker needs $TF_CONFIG: the addresses of all workers, and which "
            "of them this process is. docs/scale.md shows one."
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def _found(environment: Mapping[str, str]) -> str:
    if "TF_CONFIG" in environment:
        return "multi_worker"
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return "slurm"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "none"


def grow_memory() -> None:
    """Lets GPUs give memory as it is asked for, not all of it at once."""
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except (RuntimeError, ValueError):
            # It is in use already, in whatever way it was set up, or divided into virtual ones.
            return


def slurm_resolver(
    environment: Mapping[str, str],
) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Who the tasks of an `srun` are, each with its share of its node's GPUs.

    Args:
        environment: Variables of the process, as `srun` sets them.
    """
    kinds = tf.distribute.cluster_resolver
    if environment.get("CUDA_VISIBLE_DEVICES") or shutil.which("nvidia-smi"):
        return kinds.SlurmClusterResolver()
    # It cannot deal out no GPUs at all: the addresses alone are taken from it.
    tasks = int(environment["SLURM_STEP_NUM_TASKS"])
    slurm = kinds.SlurmClusterResolver(gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False)
    addresses = slurm.cluster_spec()
    kind, index = slurm.get_task_info()
    return kinds.SimpleClusterResolver(addresses, task_type=kind, task_id=index, rpc_layer="grpc")


def synchronize_batch_norm(classifier: keras.Model) -> int:
    """Lets each BatchNorm normalize by the whole batch, not by a replica's part of it.

    Returns:
        Number of its BatchNorm layers.
    """
    layers = [
        layer
        for layer in classifier._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in layers:
        layer.synchronized = True
    return len(layers)


def check_distributable(trainer: RobustTrainer, batch_size: int, num_replicas: int) -> None:
    """Refuses what would be another method on a part of the batch.

    Args:
        trainer: Trainer of any method.
        batch_size: Images of all replicas together.
        num_replicas: Number of them.

    Raises:
        InputError: The batch cannot be dealt out evenly, or method or regularizer use one
            image of it for another.
    """
    if batch_size % num_replicas:
        raise InputError(
            f"{num_replicas} replicas cannot share a batch of {batch_size} images evenly. Choose "
            f"a --batch-size such as {-(-batch_size // num_replicas) * num_replicas}."
        )
    whole = [item.name for item in trainer.regularizers if item.uses_whole_batch]
    if trainer.uses_whole_batch:
        whole.insert(0, type(trainer).__name__)
    if whole:
        raise InputError(
            f"{', '.join(whole)} on {num_replicas} replicas would not be the same method: what it "
            "computes for one image depends on others of the batch, and a replica holds a part "
            "of them only. Use one replica (--distribute none)."
        )


def deal_batches(
    make: Callable[[int], tf.data.Dataset], workers: Workers, batch_size: int
) -> Callable[[int], tf.distribute.DistributedDataset]:
    """From the epoch to its batches, of which each replica of this process gets its own part.

    Args:
        make: Function from the epoch to the batches of this process alone.
        workers: All processes.
        batch_size: Images of all replicas together.
    """
    per_replica = batch_size // workers.num_replicas

    def batches(epoch: int) -> tf.distribute.DistributedDataset:
        def own(context: tf.distribute.InputContext) -> tf.data.Dataset:
            dataset = make(epoch)
            if workers.num_local == 1:
                return dataset
            return dataset.rebatch(per_replica, drop_remainder=True)

        return workers.strategy.distribute_datasets_from_function(own)

    return batches
