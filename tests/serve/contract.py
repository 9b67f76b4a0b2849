# contract.py - checks answers against openapi.json: statuses, content types, headers and JSON schemas
#
# SPDX-License-Identifier: BSD-3-Clause
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "..", "..", "mpi", "service", "openapi.json"), encoding="utf-8") as file:
    API = json.load(file)

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def conforms(value, schema, at="$"):
    """Raises AssertionError where a value is not as the schema has it."""
    if "$ref" in schema:
        schema = API["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if value is None and schema.get("nullable"):
        return
    kind = schema["type"]
    good = isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    assert good, f"{at}: {value!r} is no {kind}"
    assert value in schema.get("enum", [value]), f"{at}: {value!r} is none of {schema['enum']}"
    if kind in ("integer", "number"):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), f"{at}: {value}"
    if kind == "array":
        for i, item in enumerate(value):
            conforms(item, schema["items"], f"{at}[{i}]")
    if kind == "object":
        known = schema.get("properties", {})
        for name in schema.get("required", []):
            assert name in value, f"{at}: {name} is missing"
        for name, member in value.items():
            rest = schema.get("additionalProperties", True)
            assert name in known or rest, f"{at}: {name} is not known"
            if name in known:
                conforms(member, known[name], f"{at}.{name}")
            elif isinstance(rest, dict):
                conforms(member, rest, f"{at}.{name}")


def operation(method, path):
    for pattern, item in API["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", pattern), path):
            return item.get(method.lower())
    return None


def check(method, path, status, headers, body):
    """An answer of the service is one that the document announces."""
    found = operation(method, path.split("?")[0])
    if found is None:
        assert status in (404, 405), f"{method} {path}: {status}, and the document knows nothing of it"
        conforms(json.loads(body), {"$ref": "#/components/schemas/Error"})
        return
    assert str(status) in found["responses"], f"{method} {path}: {status} is not announced: {body[:200]!r}"
    response = found["responses"][str(status)]
    kind = headers["content-type"].split(";")[0]
    assert kind in response["content"], f"{method} {path}: {kind} is not announced for {status}"
    if kind == "application/json":
        conforms(json.loads(body), response["content"][kind]["schema"])
    for name, header in response.get("headers", {}).items():
        assert name.lower() in headers, f"{method} {path}: no {name}"
        conforms(json.loads(headers[name.lower()]), header["schema"], name)
