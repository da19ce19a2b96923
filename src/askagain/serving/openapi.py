"""The OpenAPI document, and a page of it that needs nothing from elsewhere."""

import re
from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from askagain.serving.messages import ErrorAnswer
from askagain.serving.operations import Operation

REFERENCE = "#/components/schemas/{model}"


def openapi(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The document of OpenAPI 3.1."""
    models: set[type[BaseModel]] = {ErrorAnswer}
    for operation in operations:
        models.update(one for one in (operation.message, operation.answer) if isinstance(one, type))
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = re.sub(r":\w+}", "}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "askagain",
            "version": version,
            "description": "Finds the question that was already asked.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    if isinstance(operation.answer, str):
        content: dict[str, Any] = {operation.answer: {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": _reference(operation.answer)}}
    responses: dict[str, Any] = {
        str(operation.status): {"description": HTTPStatus(operation.status).phrase, "content": content}
    }
    usual = [400, 413, 415] if operation.message is not None else [400] if operation.parameters else []
    for status in sorted({*usual, *operation.errors, *([401, 403] if operation.writes else [])}):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": _reference(ErrorAnswer)}},
        }
    described: dict[str, Any] = {"summary": operation.summary, "responses": responses}
    if operation.parameters:
        described["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.place,
                "description": parameter.about,
                "required": parameter.is_required,
                "schema": parameter.schema,
            }
            for parameter in operation.parameters
        ]
    if operation.message is not None:
        body = {"application/json": {"schema": _reference(operation.message)}}
        described["requestBody"] = {"required": True, "content": body}
    if operation.writes:
        described["security"] = [{"token": []}]
    return described


def _reference(model: type) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def openapi_page(document: dict[str, Any]) -> str:
    """The document as HTML."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>askagain: API</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="icon.svg"><link rel="stylesheet" href="page.css"></head>',
        '<body class="api"><main><h1>API</h1>',
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>. <a href="./">Try it</a>.</p>',
    ]
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}.")
            parts.append(" It needs the token.</p>" if "security" in operation else "</p>")
            for parameter in operation.get("parameters", ()):
                needed = " (needed)" if parameter["required"] else ""
                parts.append(f"<p><code>{parameter['name']}</code>{needed}: {escape(parameter['description'])}</p>")
            if "requestBody" in operation:
                parts.append("<h3>Request</h3>" + _fields(operation["requestBody"]["content"], schemas))
            statuses = operation["responses"]
            first = next(iter(statuses))
            parts.append(f"<h3>Answer {first}</h3>" + _fields(statuses[first]["content"], schemas))
            others = [f"{status} {statuses[status]['description']}" for status in statuses if status != first]
            if others:
                parts.append(f"<p>Else {escape(', '.join(others))}, with <code>error.message</code>.</p>")
    return "".join([*parts, "</main></body></html>"])


def _fields(content: dict[str, Any], schemas: dict[str, Any]) -> str:
    """A table of the fields of a message."""
    media_type, described = next(iter(content.items()))
    name = described["schema"].get("$ref", "").rpartition("/")[2]
    if not name:
        return f"<p>{escape(media_type)}</p>"
    schema = schemas[name]
    rows = []
    for field, one in schema["properties"].items():
        needed = "" if field in schema.get("required", ()) else f", else {escape(str(one.get('default')))}"
        rows.append(
            f"<tr><td><code>{escape(field)}</code></td><td>{escape(_kind(one))}{needed}</td>"
            f"<td>{escape(one.get('description', ''))}</td></tr>"
        )
    return f"<p>{escape(schema.get('description', ''))}</p><table>{''.join(rows)}</table>"


def _kind(schema: dict[str, Any]) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(schema['items'])}"
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    return str(schema.get("type", schema.get("const", "any")))
