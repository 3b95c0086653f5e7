"""The form of a new job: the contract's JSON schema as a tree of fields that a script draws.

A field is a plain mapping: `type`, `key`, `label`, `hint`, and what its type needs. Nothing here
knows a kind of job, except which fields most people want and how some are best called.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, get_args

from service.contract.specs import JobKind, JobSpec

Tree = dict[str, Any]
_Schema = Mapping[str, Any]

_FIRST: Final = (
    "name",
    "model",
    "models",
    "teacher",
    "student",
    "architecture",
    "dataset",
    "method",
    "loss",
    "formats",
    "runtimes",
    "allocation",
    "targets",
    "pruning_ratio",
    "sparsity",
    "importance",
    "n",
    "m",
    "tool",
    "calibration_samples",
    "epochs",
    "batch_size",
    "learning_rate",
    "scheduler",
    "batch_sizes",
    "temperature",
    "alpha",
    "alpha_end",
    "training",
    "finetune",
)
"""Fields that come first, in this order; the others stand under "More options"."""

_LABELS: Final = {
    "ema_decay": "EMA decay",
    "gpus": "GPUs",
    "labels": "Labels of the job",
    "latency_ms": "Latency, ms",
    "m": "Group size m",
    "macs": "MACs",
    "max_accuracy_drop_points": "Largest drop of accuracy, points",
    "n": "Weights kept n",
    "size_bytes": "Size, bytes",
    "timeout_s": "Timeout, s",
    "warmup_s": "Warm-up, s",
    "block_s": "Length of a turn, s",
    "min_speedup": "Least speed-up",
}
_SHAPES: Final = {
    "object": "One",
    "array": "Several",
    "string": "A model, or the job that makes it",
}
_FRESH: Final = "A fresh architecture"
_TOGETHER: Final = {"alpha_end": "alpha"}
"""Left out, these mean something else as soon as the other is given."""


@cache
def form(kind: JobKind) -> Tree:
    """The fields of a kind of job, without `kind` itself. Not to be changed by who gets it."""
    spec = next(one for one in _specs() if one.model_fields["kind"].default == kind)
    schema = spec.model_json_schema()
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in spec.model_fields.items()
        if not field.is_required()
    }
    plain = spec.model_construct(**defaults).model_dump(
        mode="json", include=set(defaults), warnings=False
    )
    return _Reader(schema.get("$defs", {})).group("", schema, plain)


def _specs() -> tuple[Any, ...]:
    return get_args(get_args(JobSpec)[0])


class _Reader:
    """Turns schemas into fields, following references."""

    def __init__(self, definitions: _Schema) -> None:
        self._definitions = definitions

    def group(self, key: str, schema: _Schema, default: Any) -> Tree:
        """An object with known fields."""
        required = schema.get("required", ())
        known = default if isinstance(default, Mapping) else {}
        fields = [
            self.field(name, part, known.get(name, part.get("default")), name in required)
            for name, part in schema["properties"].items()
            if "const" not in part
        ]
        for one in fields:
            one["first"] = one["required"] or one["key"] in _FIRST
        if not any(one["first"] for one in fields):
            fields = [one | {"first": True} for one in fields]
        fields.sort(key=lambda one: _FIRST.index(one["key"]) if one["key"] in _FIRST else 99)
        return _named(key, schema) | {"type": "group", "fields": fields}

    def field(self, key: str, schema: _Schema, default: Any, is_required: bool) -> Tree:
        """Whatever stands under a name."""
        schema, is_nullable = self._plain(schema)
        made = self._of(key, schema, default) | {"required": is_required, "nullable": is_nullable}
        if not is_required:
            made["default"] = default
        if key in _TOGETHER:
            made["together"] = _TOGETHER[key]
        return made

    def _plain(self, schema: _Schema) -> tuple[_Schema, bool]:
        """Without references and without null, and whether null was there. What stands beside a
        reference goes before what it names."""
        is_nullable = False
        while True:
            if "$ref" in schema:
                target = self._definitions[schema["$ref"].rpartition("/")[2]]
                beside = {k: v for k, v in schema.items() if k != "$ref"}
                schema = {**target, **beside}
            elif any(one.get("type") == "null" for one in schema.get("anyOf", ())):
                inner = [one for one in schema["anyOf"] if one.get("type") != "null"]
                beside = {k: v for k, v in schema.items() if k != "anyOf"}
                schema = {**inner[0], **beside} if len(inner) == 1 else {**beside, "oneOf": inner}
                is_nullable = True
            else:
                return schema, is_nullable

    def _of(self, key: str, schema: _Schema, default: Any) -> Tree:
        named = _named(key, schema)
        if "const" in schema:
            return named | {"type": "choice", "options": [schema["const"]]}
        if "enum" in schema:
            if key == "name":  # of a thing that comes in several forms, and not a name for people
                named["label"] = "Which"
            return named | {"type": "choice", "options": schema["enum"]}
        if "discriminator" in schema:
            return named | self._union(schema, default)
        if "oneOf" in schema:
            return named | self._either(schema["oneOf"], default)
        match schema.get("type"):
            case "object" if "properties" in schema:
                return named | self.group(key, schema, default)
            case "object":
                return named | {"type": "map", "of": _values_of(schema)}
            case "array":
                return named | self._list(schema["items"])
            case "boolean":
                return named | {"type": "switch"}
            case "integer" | "number":
                return named | {"type": "number"} | _range(schema)
            case "string":
                return named | {"type": "text", "picks": _picks(key, schema)}
            case _:
                return named | {"type": "json"}

    def _union(self, schema: _Schema, default: Any) -> Tree:
        """One of several objects, told apart by a field."""
        by = schema["discriminator"]["propertyName"]
        variants = []
        for reference in schema["oneOf"]:
            target, _ = self._plain(reference)
            value = target["properties"][by]["const"]
            known = default if isinstance(default, Mapping) and default.get(by) == value else None
            variants.append(
                {
                    "value": value,
                    "hint": _first_paragraph(target),
                    "field": self.group("", target, known) | {"required": True, "nullable": False},
                }
            )
        return {"type": "union", "by": by, "variants": variants}

    def _either(self, parts: list[_Schema], default: Any) -> Tree:
        """One of several that differ in shape: an object or an id, one or several."""
        inner = [self._plain(part)[0] for part in parts]
        shapes = [_shape(one) for one in inner]
        if set(shapes) == {"number", "array"}:  # one number or several: one field for both
            items = next(one for one in inner if _shape(one) == "array")["items"]
            return self._list(items) | {"single": True}
        is_fresh = set(shapes) == {"object", "string"}
        variants = [
            {
                "shape": shape,
                "label": _FRESH if is_fresh and shape == "object" else _SHAPES[shape],
                "field": self._of("", one, default if _shape_of(default) == shape else None)
                | {"required": True, "nullable": False, "label": ""},
            }
            for shape, one in zip(shapes, inner, strict=True)
        ]
        return {"type": "either", "variants": variants}

    def _list(self, items: _Schema) -> Tree:
        inner, _ = self._plain(items)
        if "enum" in inner:
            return {"type": "choices", "options": inner["enum"]}
        if inner.get("type") in ("integer", "number") or (
            inner.get("type") == "string" and not _picks("", inner)
        ):
            return {"type": "list", "of": inner["type"]}
        return {"type": "items", "item": self.field("", items, None, True)}


def _named(key: str, schema: _Schema) -> Tree:
    label = _LABELS.get(key) or key.replace("_", " ").capitalize()
    found = {"key": key, "label": label, "hint": _first_paragraph(schema)}
    if examples := schema.get("examples"):
        found["example"] = examples[0]
    return found


def _first_paragraph(schema: _Schema) -> str:
    return str(schema.get("description", "")).partition("\n\n")[0].replace("\n", " ")


def _range(schema: _Schema) -> Tree:
    bounds = {"min": "minimum", "max": "maximum", "above": "exclusiveMinimum"}
    found = {name: schema[there] for name, there in bounds.items() if there in schema}
    if "exclusiveMaximum" in schema:
        found["below"] = schema["exclusiveMaximum"]
    return found | {"whole": schema["type"] == "integer"}


def _picks(key: str, schema: _Schema) -> str:
    """What one may pick from: `models`, `datasets` or `architectures`."""
    pattern = schema.get("pattern", "")
    if "(mdl|job)_" in pattern:
        return "models"
    if "(dst_" in pattern:
        return "datasets"
    return "architectures" if key == "architecture" else ""


def _values_of(schema: _Schema) -> str:
    """The type of a mapping's values, `any` where there are several."""
    parts = list(schema.get("patternProperties", {}).values())
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        parts.append(extra)
    return str(parts[0].get("type", "any")) if parts else "any"


def _shape(schema: _Schema) -> str:
    if "discriminator" in schema:
        return "object"
    kind = str(schema.get("type"))
    return "number" if kind == "integer" else kind


def _shape_of(value: Any) -> str:
    match value:
        case Mapping():
            return "object"
        case list():
            return "array"
        case str():
            return "string"
        case _:
            return "none"
