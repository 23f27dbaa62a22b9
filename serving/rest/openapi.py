"""The REST API as an OpenAPI document."""

from typing import Any

_MODEL = "/v1/models/{model}"
_PLACES = {"": [], "/versions/{version}": ["version"], "/labels/{label}": ["label"]}
_PARAMETERS: dict[str, tuple[str, Any]] = {
    "model": ("Name of a model.", {"type": "string"}),
    "version": ("Number of one of its versions.", {"type": "integer", "minimum": 0}),
    "label": ("Label of one of its versions.", {"type": "string"}),
}
_ERRORS = {
    "400": "The request is wrong.",
    "401": "The token is missing or wrong.",
    "404": "There is no such model or version.",
    "413": "The body is too large.",
    "503": "The server is overloaded; try again later.",
    "504": "It took too long.",
}
_ANY: dict[str, Any] = {}
_OBJECT = {"type": "object"}
_SIGNATURE = {"type": "string", "description": "Signature to call; default serving_default."}


def openapi(title: str, *, with_token: bool) -> dict[str, Any]:
    """OpenAPI 3.1 description of what the server answers.

    Args:
        title: Title of the document.
        with_token: Whether clients must send a bearer token.
    """
    paths: dict[str, Any] = {
        "/v1/models": {"get": _get("Models that are served; an extension.", "Models", [])}
    }
    paths["/v1/models"]["get"]["x-extension-of-tensorflow-serving"] = True
    for place, names in _PLACES.items():
        names = ["model", *names]
        paths[f"{_MODEL}{place}"] = {"get": _get("States of a model's versions.", "Status", names)}
        paths[f"{_MODEL}{place}/metadata"] = {
            "get": _get("Signatures of a model.", "Metadata", names)
        }
        for method in ("predict", "classify", "regress"):
            paths[f"{_MODEL}{place}:{method}"] = {"post": _post(method, names)}
    for path, text in [("/livez", "The process runs."), ("/readyz", "All models are available.")]:
        paths[path] = {"get": _plain(text)}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": "1",
            "description": "TensorFlow Serving's REST API, with extensions that are marked.",
        },
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }
    if with_token:
        scheme = {"type": "http", "scheme": "bearer"}
        document["components"]["securitySchemes"] = {"token": scheme}
        document["security"] = [{"token": []}]
    return document


def _get(summary: str, schema: str, names: list[str]) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": _parameters(names),
        "responses": _responses(schema, ["400", "401", "404"]),
    }


def _post(method: str, names: list[str]) -> dict[str, Any]:
    request, answer = ("Predict", "Predictions") if method == "predict" else ("Examples", "Results")
    content = {"application/json": {"schema": _reference(request)}}
    return {
        "summary": f"{method.capitalize()} with a model.",
        "parameters": _parameters(names),
        "requestBody": {"required": True, "content": content},
        "responses": _responses(answer, list(_ERRORS)),
    }


def _plain(summary: str) -> dict[str, Any]:
    responses = {"200": {"description": summary}, "503": {"description": "Not yet, or no more."}}
    return {"summary": summary, "security": [], "responses": responses}


def _parameters(names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETERS[name][0],
            "schema": _PARAMETERS[name][1],
        }
        for name in names
    ]


def _responses(schema: str, errors: list[str]) -> dict[str, Any]:
    return {"200": _response("The answer.", schema)} | {
        status: _response(_ERRORS[status], "Error") for status in errors
    }


def _response(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(schema)}}
    return {"description": description, "content": content}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT = {"type": "string"}
_SCHEMAS: dict[str, Any] = {
    "Error": _object(["error"], error=_TEXT),
    "Models": _object(
        ["models"],
        models=_list(_object(["name", "versions"], name=_TEXT, versions=_list(_TEXT))),
    ),
    "Status": _object(
        ["model_version_status"],
        model_version_status=_list(
            _object(
                ["version", "state", "status"],
                version=_TEXT,
                state={"enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]},
                status=_object(
                    ["error_code", "error_message"], error_code=_TEXT, error_message=_TEXT
                ),
            )
        ),
    ),
    "Metadata": _object(["model_spec", "metadata"], model_spec=_OBJECT, metadata=_OBJECT),
    "Predict": {
        "description": "Rows under `instances`, or columns under `inputs`; bytes as {b64: ...}.",
        "oneOf": [
            _object(["instances"], instances=_list(_ANY), signature_name=_SIGNATURE),
            _object(["inputs"], inputs=_ANY, signature_name=_SIGNATURE),
        ],
    },
    "Predictions": {
        "description": "`predictions` for `instances`, `outputs` for `inputs`.",
        "oneOf": [
            _object(["predictions"], predictions=_list(_ANY)),
            _object(["outputs"], outputs=_ANY),
        ],
    },
    "Examples": _object(
        ["examples"], examples=_list(_OBJECT), context=_OBJECT, signature_name=_SIGNATURE
    ),
    "Results": _object(["results"], results=_list(_ANY)),
}
