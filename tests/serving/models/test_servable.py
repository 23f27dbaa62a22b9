"""SavedModels of any origin, in a session of their own."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from lsp_keras.serving.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    ServingError,
)
from lsp_keras.serving.models.servable import TIMEOUTS_MS, Servable, _timeout_ms, clean_message
from lsp_keras.serving.models.signatures import as_strings


@pytest.fixture(scope="module")
def servable(affine_folder) -> Servable:
    return Servable(affine_folder / "1")


def test_a_model_of_tensorflow_1_with_a_table_and_an_asset(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("zero\none\ntwo\n")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        asset = tf.constant(str(words))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
        initializer = tf.lookup.TextFileInitializer(
            asset,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        table = tf.lookup.StaticHashTable(initializer, -1)
        inputs = v1.placeholder(tf.string, [None])
        scale = v1.get_variable("scale", initializer=tf.constant(10, tf.int64))
        outputs = table.lookup(inputs) * scale
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        v1.saved_model.simple_save(
            session,
            str(tmp_path / "1"),
            {"words": inputs},
            {"numbers": outputs},
            legacy_init_op=v1.tables_initializer(),
        )
    words.unlink()
    loaded = Servable(tmp_path / "1")
    signature = loaded.signatures["serving_default"]
    answer = loaded.run(signature, {"words": as_strings([b"two", b"none", b"one"], (3,))})
    assert answer["numbers"].tolist() == [20, -10, 10]
    loaded.close()


def test_string_scalars_are_arrays_too(servable) -> None:
    inputs = {
        "floats": np.float32(1.5).reshape(()),
        "integers": np.array(7),
        "text": as_strings([b"a\0"], ()),
    }
    outputs = servable.run(servable.signatures["echo"], inputs)
    assert outputs["text"].shape == ()
    assert outputs["text"].item() == b"a\0"
    assert (outputs["floats"].item(), outputs["integers"].item()) == (1.5, 7)


def test_a_run_is_cancelled_when_its_time_is_up(servable) -> None:
    with pytest.raises(DeadlineExceededError):
        servable.run(servable.signatures["slow"], {"steps": np.array(2**31 - 1, np.int32)}, 0.05)


def test_the_models_own_errors_keep_their_code_and_hide_where_they_come_from(servable) -> None:
    with pytest.raises(InvalidArgumentError, match="x must be positive") as raised:
        servable.run(servable.signatures["positive"], {"x": np.array([-1], np.float32)})
    assert ".py" not in raised.value.message


def test_an_error_that_quotes_bytes_of_a_client_is_the_clients(servable) -> None:
    inputs = {"inputs": as_strings([b"\xff\xfe no example"], (1,))}
    with pytest.raises(InvalidArgumentError, match=r"parse example input.*: '\ufffd\ufffd no exam"):
        servable.run(servable.signatures["classify"], inputs)


def test_answers_at_once_are_not_mixed_up_where_a_sum_follows_biased_convolutions(
    tmp_path: Path, rng, biased_residual_model
) -> None:
    biased_residual_model.export(tmp_path / "1", verbose=False)
    servable = Servable(tmp_path / "1")
    signature = servable.signatures["serving_default"]
    [name] = signature.inputs
    requests = [{name: rng.random((8, 12, 12, 3), np.float32)} for _ in range(4)]
    expected = [servable.run(signature, request) for request in requests]
    with ThreadPoolExecutor(4) as executor:
        found = list(
            executor.map(lambda turn: servable.run(signature, requests[turn % 4]), range(400))
        )
    for turn, outputs in enumerate(found):
        for key, values in outputs.items():
            np.testing.assert_allclose(values, expected[turn % 4][key], rtol=1e-4, atol=1e-5)
    servable.close()


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [(None, 0), (0, 1024), (1.024, 1024), (1.025, 4096), (30, 32768), (1000, 2**20), (1e30, 0)],
)
def test_timeouts_are_rounded_up(seconds, milliseconds) -> None:
    assert _timeout_ms(seconds) == milliseconds


def test_clients_with_many_deadlines_cost_few_calls(servable) -> None:
    inputs = {"data_bytes": as_strings([b"ab"], (1,))}
    for timeout in (None, *np.geomspace(1e-3, 1e12, 60)):
        outputs = servable.run(servable.signatures["lengths"], inputs, timeout)
        assert outputs["length"].tolist() == [2]
    made = [key for key in servable._calls if key[0] == "lengths"]
    assert len(made) == len(TIMEOUTS_MS) + 1


def test_what_is_no_saved_model_is_a_serving_error(tmp_path, affine_folder) -> None:
    with pytest.raises(InvalidArgumentError, match="SavedModel file does not exist"):
        Servable(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"cut short")
    with pytest.raises(ServingError):
        Servable(tmp_path)
    with pytest.raises((InvalidArgumentError, NotFoundError), match="could not be found"):
        Servable(affine_folder / "1", tags=["other"])


def damage_collection(meta_graph) -> None:
    # A collection of variables whose entries are no VariableDefs.
    meta_graph.collection_def["variables"].bytes_list.value.append(b"\xff\xff no message")


def damage_type(meta_graph) -> None:
    meta_graph.signature_def["serving_default"].inputs["x"].dtype = 999


def damage_node(meta_graph) -> None:
    meta_graph.graph_def.node[0].op = "NoSuchOperation"


@pytest.mark.parametrize("damage", [damage_collection, damage_type, damage_node])
def test_a_damaged_model_is_an_error_of_ours(affine_folder, tmp_path, damage) -> None:
    shutil.copytree(affine_folder / "1", tmp_path / "1")
    file = tmp_path / "1/saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    damage(saved_model.meta_graphs[0])
    file.write_bytes(saved_model.SerializeToString())
    with pytest.raises(ServingError):
        Servable(tmp_path / "1")


def test_a_signature_that_names_no_tensor_is_an_error_of_ours(affine_folder, tmp_path) -> None:
    shutil.copytree(affine_folder / "1", tmp_path / "1")
    file = tmp_path / "1/saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    signatures = saved_model.meta_graphs[0].signature_def
    good = signatures["serving_default"]
    damaged = []
    for tensors in ("inputs", "outputs"):
        for tensor in ("nowhere:0", "StatefulPartitionedCall:99", "", "a:b:c", "\x00", "^x"):
            damaged.append(f"{tensors} {tensor}")
            signatures[damaged[-1]].CopyFrom(good)
            for info in getattr(signatures[damaged[-1]], tensors).values():
                info.name = tensor
    # A tensor that is fed and fetched.
    damaged.append("same")
    signatures["same"].CopyFrom(good)
    signatures["same"].outputs["y"].CopyFrom(good.inputs["x"])
    file.write_bytes(saved_model.SerializeToString())
    servable = Servable(tmp_path / "1")
    inputs = {"x": np.ones((1, 3), np.float32)}
    for name in damaged:
        with pytest.raises(ServingError):
            servable.run(servable.signatures[name], inputs, 1.0)
    outputs = servable.run(servable.signatures["serving_default"], inputs)
    assert outputs["y"].tolist() == [[2.5, 2.5, 2.5]]
    servable.close()


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "variables/variables.index", "assets.extra/model_card.json"]
)
def test_a_pipe_or_a_device_in_a_model_is_an_error_of_ours(
    affine_folder, tmp_path: Path, name: str
) -> None:
    version = tmp_path / "1"
    shutil.copytree(affine_folder / "1", version)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (version / name).parent.mkdir(exist_ok=True)
        (version / name).unlink(missing_ok=True)
        make(version / name)
        with pytest.raises(InvalidArgumentError, match=f"{name} is no file") as caught:
            Servable(version)
        assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize("length", [0, 1, 1000])
def test_a_model_that_is_cut_short_is_an_error_of_ours(affine_folder, tmp_path, length) -> None:
    shutil.copytree(affine_folder / "1", tmp_path / "1")
    file = tmp_path / "1/saved_model.pb"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ServingError):
        Servable(tmp_path / "1")


@pytest.mark.parametrize(
    ("message", "clean"),
    [
        ("failed: [x]\n\t [[{{function_node f_6}}{{node a/Assert}}]]", "failed: [x]"),
        ("{{function_node __wrapped__Mul_device_/job:l/CPU:0}} Incompatible", "Incompatible"),
        (
            "a\n\t [[node f (defined at /x/y.py:3) ]]\n\nErrors may have originated from an input "
            "operation.\nInput Source operations connected to node f:",
            "a",
        ),
        ("a\n\t [[{{node b}}]]\n\t [[{{node c}}]]", "a"),
        ("shapes [[1,2],[3]] and {{x}} stay", "shapes [[1,2],[3]] and {{x}} stay"),
    ],
)
def test_messages_name_no_nodes(message: str, clean: str) -> None:
    assert clean_message(message) == clean


@pytest.mark.parametrize("part", ["[[node ", "{{node ", "\n", "[[{{", "[[node [[node "])
def test_cleaning_a_long_message_takes_no_long_time(part: str) -> None:
    start = time.perf_counter()
    clean_message(part * 50_000)
    assert time.perf_counter() - start < 5
