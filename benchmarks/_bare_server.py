"""A server that reads a request and answers a constant: what the frameworks cost by themselves.

python benchmarks/_bare_server.py REST_PORT GRPC_PORT
"""

import asyncio
import sys
from typing import Any

import grpc
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def main() -> None:
    """Serves both ports until it is terminated."""
    rest_port, grpc_port = map(int, sys.argv[1:])
    server = grpc.aio.server()
    predict = grpc.unary_unary_rpc_method_handler(answer_grpc)
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Predict": predict}),)
    )
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    app = Starlette(routes=[Route("/{path:path}", answer_rest, methods=["GET", "POST"])])
    options: dict[str, Any] = {"access_log": False, "log_config": None, "lifespan": "off"}
    await uvicorn.Server(uvicorn.Config(app, port=rest_port, **options)).serve()


async def answer_rest(request: Request) -> Response:
    """As many bytes of JSON as a small model answers."""
    await request.body()
    return Response(b'{"predictions":[[0.5,0.5]]}', media_type="application/json")


async def answer_grpc(request: bytes, context: object) -> bytes:
    """A few bytes, unparsed like the request."""
    return b"answer"


if __name__ == "__main__":
    asyncio.run(main())
