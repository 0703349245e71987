"""The OpenAPI document, made from the table of operations."""

from __future__ import annotations

import re
from collections.abc import Iterable

from console.demo.operations import Operation

TITLE = "Demo chatbot controller"
COMMON = {200: "Success", 422: "A field is missing or wrong", 429: "Too many requests; see Retry-After"}
REASONS = {
    400: "The request is wrong",
    401: "No valid token, or wrong credentials",
    404: "No such bot",
    409: "It is there already",
    413: "Too long",
    422: "A field is missing or wrong",
    502: "The bot failed to answer",
    503: "Not available",
    504: "The bot did not answer in time",
}
ANSWER = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}


def document(operations: Iterable[Operation], version: str) -> dict[str, object]:
    """The whole document (OpenAPI 3.1)."""
    paths: dict[str, dict[str, object]] = {
        "/health": {"get": _plain("Whether the controller is well")},
        "/health/db": {"get": _plain("Whether its database answers")},
        "/metrics": {"get": _plain("Counters in the Prometheus text format")},
    }
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version},
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {
                "Answer": {
                    "type": "object",
                    "required": ["success", "timestamp"],
                    "properties": {
                        "success": {"type": "boolean"},
                        "error": {"type": "string"},
                        "timestamp": {"type": "string", "format": "date-time"},
                    },
                }
            },
        },
    }


def _plain(about: str) -> dict[str, object]:
    return {"summary": about, "security": [], "responses": {"200": {"description": "Success"}}}


def _described(operation: Operation) -> dict[str, object]:
    refuses = set(operation.refuses) | (set() if operation.is_open else {401})
    reasons = COMMON | {status: REASONS[status] for status in refuses}
    told: dict[str, object] = {
        "operationId": operation.name,
        "summary": operation.about,
        "security": [] if operation.is_open else [{"bearer": []}],
        "responses": {
            str(status): {"description": reasons[status], "content": ANSWER} for status in sorted(reasons)
        },
    }
    parameters: list[dict[str, object]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    parameters += [
        {"name": name, "in": "query", "required": needed, "schema": {"type": kind}}
        for name, (kind, needed) in operation.asks.items()
    ]
    if parameters:
        told["parameters"] = parameters
    if operation.takes:
        schema = {
            "type": "object",
            "required": [name for name, needed in operation.takes.items() if needed],
            "properties": {name: {"type": "string"} for name in operation.takes},
        }
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return told
