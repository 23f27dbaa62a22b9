"""Connections to the gRPC port that are no clients."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.options import ServerOptions
from lsp_keras.serving.server import Server, running


@contextlib.contextmanager
def started(folder, **options):
    configs = [ModelConfig("affine", folder)]
    with running(configs, ServerOptions(rest_port=0, grpc_port=0, **options)) as server:
        yield server


def predict(server: Server) -> list[float]:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "affine"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros((1, 3), np.float32)))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(request, timeout=20, wait_for_ready=True)
    return list(response.outputs["y"].float_val)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed; it may have sent its settings before."""
    connection.settimeout(0.01)
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_connection_that_does_not_become_one_of_grpc_is_closed(affine_folder, sent) -> None:
    with started(affine_folder, header_seconds=0.5) as server:
        connection = socket.create_connection(("127.0.0.1", server.grpc_port))
        connection.sendall(sent)
        for _ in range(100):
            if is_closed(connection):
                break
            time.sleep(0.1)
        else:
            pytest.fail("it is still open after ten seconds")
        assert predict(server) == [0.5] * 3


def test_connections_are_bounded_and_room_comes_back(affine_folder) -> None:
    with started(affine_folder, header_seconds=1.0, max_connections=4) as server:
        address = ("127.0.0.1", server.grpc_port)
        opened = [socket.create_connection(address) for _ in range(20)]
        time.sleep(0.5)
        still_open = sum(not is_closed(connection) for connection in opened)
        assert still_open <= 4
        assert predict(server) == [0.5] * 3


def test_a_message_that_does_not_arrive_is_given_up(affine_folder) -> None:
    with started(affine_folder, rest_timeout=0.5) as server:
        stop = threading.Event()

        def never() -> Iterator[bytes]:
            stop.wait(20)
            yield b""

        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            method = "/tensorflow.serving.PredictionService/Predict"
            # A client that opens the call and keeps its message.
            call = channel.stream_unary(method)
            with pytest.raises(grpc.RpcError) as raised:
                call(never())
            stop.set()
            assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert raised.value.details() == "The message did not arrive in time."
            with pytest.raises(grpc.RpcError) as raised:
                call(iter(()))
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert predict(server) == [0.5] * 3
