"""Make the schemas that the package ships from Argo's published ones.

    python tools/close_schemas.py PUBLISHED.json CLOSED.json

Closed: an object with listed properties accepts no others, so that a misspelt field is an error
and not a surprise. IntOrString is typed string upstream: it is widened. Descriptions go.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def close(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same schema, closed and without prose."""
    if isinstance(schema, list):
        return [close(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        key: close_properties(value) if key in ("properties", "definitions") else close(value)
        for key, value in schema.items()
        if key != "$id" and not (key == "description" and isinstance(value, str))
    }
    if "properties" in closed and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed


def close_properties(properties: dict[str, Any]) -> dict[str, Any]:
    """A map from names to schemas; a property may itself be called description."""
    return {name: close(value) for name, value in properties.items()}


def main() -> None:
    """Read the one file, write the other."""
    source, target = (Path(each) for each in sys.argv[1:3])
    schema = close(json.loads(source.read_text()))
    definitions = schema.get("definitions", {})
    if _INT_OR_STRING in definitions:
        definitions[_INT_OR_STRING] = {"type": ["string", "integer"]}
    target.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
