"""The web page: an image in, classes, card and commands out."""

import json
from importlib import resources
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from lsp_keras.serving.authentication import Token
from lsp_keras.serving.errors import ServingError
from lsp_keras.serving.models.manager import ModelManager, ModelSpec
from lsp_keras.serving.models.servable import Servable
from lsp_keras.serving.rest.handlers import respond
from lsp_keras.validation import check_file

CARD_FILE = "assets.extra/model_card.json"
_LONGEST_CARD = 2**22
IMAGE_SIGNATURE = "serving_bytes"
_TYPES = {"index.html": "text/html", "page.css": "text/css"}
_FILES = ("index.html", "page.css", "page.js", "plainly.js", "snippets.js")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def page_routes(manager: ModelManager, token: Token) -> list[BaseRoute]:
    """Routes of the page, its files and what it shows.

    Args:
        manager: Manager that holds the models.
        token: Token that is needed to see them; the page itself is open and asks for it.
    """

    async def list_models(request: Request) -> Response:
        async def render() -> bytes:
            token.check(request.headers.get("authorization"))
            return orjson.dumps({"models": describe_models(manager)})

        return await respond(render)

    files: list[BaseRoute] = [_file_route(name) for name in _FILES]
    return [*files, Route("/page/models", list_models)]


def _file_route(name: str) -> Route:
    content = resources.files("lsp_keras.serving").joinpath("page", name).read_bytes()
    media_type = _TYPES.get(name, "text/javascript")

    async def show(request: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return Route("/" if name == "index.html" else f"/page/{name}", show)


def describe_models(manager: ModelManager) -> list[dict[str, Any]]:
    """Name, newest version and card of each model that is available."""
    described = []
    for name in sorted(manager.models()):
        try:
            with manager.handle(ModelSpec(name)) as handle:
                described.append(
                    {
                        "name": name,
                        "version": handle.number,
                        "takes_images": _takes_images(handle.servable),
                        "card": _card(handle.servable),
                    }
                )
        except ServingError:
            # Its last version went between the two calls.
            continue
    return described


def _takes_images(servable: Servable) -> bool:
    signature = servable.signatures.get(IMAGE_SIGNATURE)
    return signature is not None and {"probabilities", "class_names"} <= signature.outputs.keys()


def _card(servable: Servable) -> Any:
    path = servable.path / CARD_FILE
    try:
        check_file(path, _LONGEST_CARD)
        card = json.loads(path.read_text(encoding="utf-8"))
        # A card that cannot be sent, such as one with a number of 70 bits, is none either.
        orjson.dumps(card)
        return card
    except (OSError, ValueError, TypeError, RecursionError):
        return None
