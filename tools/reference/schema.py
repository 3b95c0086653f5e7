"""A JSON schema in Markdown: a heading for each object, a row for each field."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_BOUNDS: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "characters ≥ {}",
    "maxLength": "characters ≤ {}",
    "minItems": "items ≥ {}",
    "maxItems": "items ≤ {}",
    "maxProperties": "entries ≤ {}",
}
_HEAD: Final = "| field | type | default | limits | what |\n|---|---|---|---|---|"


def section(name: str, schema: Schema, level: int = 2) -> str:
    """A heading, what it is, and its fields. Objects that it refers to are linked by name, on the
    same page: `referred` lists them."""
    parts = [f"{'#' * level} {name}"]
    if schema.get("description"):
        parts.append(prose(schema["description"]))
    fields = schema.get("properties", {})
    if fields:
        required = frozenset(schema.get("required", ()))
        rows = [_row(field, value, field in required) for field, value in fields.items()]
        parts.append("\n".join([_HEAD, *rows]))
    elif not schema.get("description"):
        parts.append(type_of(schema))
    return "\n\n".join(parts)


def referred(schema: Schema, definitions: Mapping[str, Schema]) -> list[str]:
    """Names of all objects that a schema leads to, each once, the nearest first."""
    found: list[str] = []
    waiting = [schema]
    while waiting:
        for name in _names(waiting.pop(0)):
            if name not in found:
                found.append(name)
                waiting.append(definitions[name])
    return found


def type_of(schema: Schema) -> str:
    """The type in a few words, with links to objects of the same page."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rsplit("/", 1)[-1]
            return f"[{name}](#{name.lower()})"
        case {"const": value}:
            return literal(value)
        case {"enum": list(values)}:
            return " · ".join(literal(value) for value in values)
        case {"anyOf": list(branches)} | {"oneOf": list(branches)}:
            return " or ".join(dict.fromkeys(type_of(branch) for branch in branches))
        case {"prefixItems": list(items)}:
            return f"list of {', '.join(type_of(item) for item in items)}"
        case {"type": "array"}:
            return f"list of {type_of(schema.get('items', {}))}"
        case {"type": "object"}:
            return f"mapping to {type_of(_values(schema))}"
        case {"type": str(name)}:
            return {"null": "null", "number": "number"}.get(name, name)
    return "anything"


def limits_of(schema: Schema) -> str:
    """Bounds of a value, or of what it holds, in words."""
    found = [form.format(f"{schema[key]:,}") for key, form in _BOUNDS.items() if key in schema]
    for branch in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        found += [limits_of(branch)]
    items = schema.get("items")
    if isinstance(items, Mapping) and "$ref" not in items and limits_of(items):
        found.append(f"each {limits_of(items)}")
    return ", ".join(dict.fromkeys(limit for limit in found if limit))


def literal(value: object) -> str:
    """A value as JSON has it, as code in a cell."""
    return f"`{cell(json.dumps(value, ensure_ascii=False))}`"


def cell(text: str) -> str:
    """Text that stays within a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def prose(text: str) -> str:
    """Paragraphs of a docstring, each on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _row(name: str, schema: Schema, is_required: bool) -> str:
    default = "required" if is_required else ""
    if "default" in schema:
        default = literal(schema["default"])
    what = cell(schema.get("description", ""))
    cells = (f"`{name}`", type_of(schema), default, limits_of(schema), what)
    return f"| {' | '.join(cells)} |"


def _values(schema: Schema) -> Schema:
    """What a mapping maps to."""
    patterns: Mapping[str, Schema] = schema.get("patternProperties", {})
    extra = schema.get("additionalProperties")
    return next(iter(patterns.values()), extra if isinstance(extra, Mapping) else {})


def _names(schema: object) -> Iterator[str]:
    """Names in the `$ref`s of a schema, in order."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rsplit("/", 1)[-1]
        inner: Iterable[object] = [v for k, v in schema.items() if k != "discriminator"]
    elif isinstance(schema, list | tuple):
        inner = schema
    else:
        return
    for value in inner:
        yield from _names(value)
