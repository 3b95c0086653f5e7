"""Zips that lie in their directory, and folders whose config.json does."""

import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from safetensors.torch import save

from tests.faults.case import Case, dataset, graph
from tests.faults.seeds import (
    CONFIG,
    folder_zip,
    image_members,
    picture,
    pixels,
    weights,
    zipped,
)

_NAMES = (
    *("../evil.png", "train/../../evil.png", "/etc/passwd", "train/cat/../../../../x.png"),
    *("C:\\evil.png", "C:/evil.png", "..\\evil.png", "train\\cat\\0.png", "//server/share.png"),
    *("train/cat/\x01.png", "train/cat/a\nb.png", "train/cat/\x1b[2J.png", "train/\u202egnp.exe"),
    *("train/cat/" + "n" * 300 + ".png", "n" * 5000 + ".png", "d/" * 400 + "x.png", "./x.png"),
    *("train/cat/con.png ", "train//x.png", "train/cat/x.png/", " ", ".", "..", "~/x.png"),
)


def with_member(data: bytes, name: str, content: bytes, **info: Any) -> bytes:
    """The zip with one more member; `info` are fields of its ZipInfo."""
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        member = zipfile.ZipInfo(name)
        for key, value in info.items():
            setattr(member, key, value)
        member.filename = name  # ZipInfo cuts it at NUL, and turns backslashes
        archive.writestr(member, content)
    return buffer.getvalue()


def symlink(data: bytes, name: str, target: str) -> bytes:
    """The zip with a symbolic link."""
    mode = (stat.S_IFLNK | 0o777) << 16
    return with_member(data, name, target.encode(), external_attr=mode, create_system=3)


def patched(data: bytes, signature: bytes, at: int, layout: str, value: int) -> bytes:
    """A number in the last record with this signature."""
    changed = bytearray(data)
    struct.pack_into(layout, changed, data.rindex(signature) + at, value)
    return bytes(changed)


def _encrypted(data: bytes) -> bytes:
    return patched(patched(data, b"PK\1\2", 8, "<H", 1), b"PK\3\4", 6, "<H", 1)


_DIRECTORY: Mapping[str, Callable[[bytes], bytes]] = {
    "encrypted": _encrypted,
    "an unknown method": lambda data: patched(data, b"PK\1\2", 10, "<H", 97),
    "a member of 4 GB": lambda data: patched(data, b"PK\1\2", 24, "<I", 2**32 - 2),
    "a zip64 member without its field": lambda data: patched(data, b"PK\1\2", 24, "<I", 2**32 - 1),
    "a packed size of 4 GB": lambda data: patched(data, b"PK\1\2", 20, "<I", 2**32 - 2),
    "a member behind the end": lambda data: patched(data, b"PK\1\2", 42, "<I", 2**31),
    "a member in another": lambda data: patched(data, b"PK\1\2", 42, "<I", 0),
    "a name of 64 KiB": lambda data: patched(data, b"PK\1\2", 28, "<H", 2**16 - 1),
    "a wrong checksum": lambda data: patched(data, b"PK\1\2", 16, "<I", 7),
    "65,535 members of few": lambda data: patched(
        patched(data, b"PK\5\6", 8, "<H", 65535), b"PK\5\6", 10, "<H", 65535
    ),
    "one member of many": lambda data: patched(
        patched(data, b"PK\5\6", 8, "<H", 1), b"PK\5\6", 10, "<H", 1
    ),
    "a second disk": lambda data: patched(data, b"PK\5\6", 4, "<H", 1),
    "a directory of 4 GB": lambda data: patched(data, b"PK\5\6", 12, "<I", 2**32 - 2),
    "a directory behind the end": lambda data: patched(data, b"PK\5\6", 16, "<I", 2**31),
    "a comment that is not there": lambda data: patched(data, b"PK\5\6", 20, "<H", 999),
    "bytes in front": lambda data: b"#!/bin/sh\n" + data,
    "bytes behind": lambda data: data + b"more",
    "two archives in a row": lambda data: data + data,
    "only the end": lambda data: data[-22:],
}


def lies_of_zips() -> Iterator[Case]:
    """Of pictures and of a model's folder."""
    pictures, folder = zipped(image_members(), zipfile.ZIP_STORED), folder_zip()
    for name, lie in _DIRECTORY.items():
        yield dataset("image_zip", f"image zip: {name}", lie(pictures))
        yield graph(f"folder zip: {name}", lie(folder))
    image = picture(pixels(1)[0])
    for name in _NAMES:
        yield dataset(
            "image_zip", f"image zip: the name {name[:40]!r}", with_member(pictures, name, image),
            may_pass=True,
        )  # fmt: skip
        yield graph(f"folder zip: the name {name[:40]!r}", with_member(folder, name, b"x"),
                    may_pass=True)  # fmt: skip
    for target in ("/etc/passwd", "../../../../etc/passwd", "train/cat/0.png"):
        yield dataset(
            "image_zip",
            f"a zip with a link to {target}",
            symlink(pictures, "train/cat/9.png", target),
        )
        yield graph(f"a link to {target}", symlink(folder, "model.link", target))
    for kind, name in ((stat.S_IFCHR, "device"), (stat.S_IFIFO, "pipe"), (stat.S_IFSOCK, "socket")):
        data = with_member(pictures, "train/cat/9.png", b"", external_attr=kind << 16)
        yield dataset("image_zip", f"a {name} in a zip", data)
    yield graph("config.json twice", _twice(folder, "config.json", json.dumps(CONFIG).encode()))
    yield dataset("image_zip", "a picture twice", _twice(pictures, "train/cat/0.png", image))


def _twice(data: bytes, name: str, content: bytes) -> bytes:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile knows that it is a mistake
        return with_member(data, name, content)


def lies_of_configs() -> Iterator[Case]:
    """What config.json may say that is not so."""
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    raw: dict[str, bytes] = {
        "not JSON": b"{",
        "empty": b"",
        "a list": b"[]",
        "null": b"null",
        "objects 100,000 deep": deep,
        "a key twice": b'{"format":"modelpress/1","format":"modelpress/1"}',
        "not UTF-8": b'{"architecture":"\xff"}',
        "UTF-16": json.dumps(CONFIG).encode("utf-16"),
        "9 MB": b'{"a":"' + b"x" * 9_000_000 + b'"}',
        "a number of 10^6 digits": b'{"classes":' + b"9" * 1_000_000 + b"}",
    }
    for name, text in raw.items():
        yield graph(f"config.json: {name}", folder_zip(text), may_pass=name == "UTF-16")
    for key, values in _WRONG.items():
        for value in values:
            config = {**CONFIG, key: value}
            yield graph(
                f"config.json: {key} is {str(value)[:40]!r}", folder_zip(config),
                may_pass=key == "compression",
            )  # fmt: skip
    for name, hub_config in _HUB.items():
        yield graph(f"a hub's config.json: {name}", folder_zip(hub_config))
    weightless = {"config.json": json.dumps(CONFIG)}
    for more in ({}, {"pytorch_model.bin": b"\x80\2}."}, {"model-00001-of-00002.safetensors": b""}):
        yield graph(f"no weights but {list(more)}", zipped({**weightless, **more}))
    shuffled = {name: tensor.flip(0) for name, tensor in weights().items()}
    more_weights = {"other.safetensors": save(shuffled)}
    yield graph("two weights", folder_zip(CONFIG, **more_weights), may_pass=True)


_WRONG: Mapping[str, tuple[object, ...]] = {
    "format": ("modelpress/9", None, 1),
    "architecture": ("", "no_such", "../mlp", "mlp\0", "os.system", None, 7, ["mlp"], "x" * 9999,
                     "timm/../../x", "timm/hf-hub:x/y", "torchvision/__class__", "timm/"),
    "options": ([], None, {"hidden": "many"}, {"hidden": [0]}, {"hidden": [-1]}, {"hidden": [1.5]},
                {"hidden": [10**12]}, {"hidden": [1] * 10**5}, {"dropout": 7}, {"__class__": "x"},
                {"hidden": [8], "device": "cuda"}, {"hidden": {"a": 1}}, {"hidden": None}),
    "classes": (0, -1, 10**12, "3", 3.0, True, None, [3]),
    "input_size": ([], [0, 4, 4], [-1, 4, 4], [1, 10**9, 10**9], ["1", 4, 4], None, 16, [1.0, 4, 4],
                   [1] * 100, [[1], 4, 4]),
    "mean": ([], [0.5, 0.5], ["0"], None, 1, [1e400], [None], [[0.5]]),
    "std": ([0.0], [-1.0], [], None, [1e400], "1"),
    "labels": ([], ["a"], [1, 2, 3], "abc", {"0": "a"}, ["a", None, "c"]),
    "compression": ("x", [1], {}, [{}], [{"kind": "prune"}], [{"kind": "../x"}], None,
                    [{"kind": "prune", "cuts": [{"layer": "layers.0", "kept": [10**9]}]}]),
    "extra": ("x", [], 7),
    "unknown": (1,),
}  # fmt: skip
_HUB: Mapping[str, Mapping[str, Any]] = {
    "no names": {},
    "timm's of nobody": {"architecture": "no_such_model", "num_classes": 3},
    "timm's with a path": {"architecture": "../../etc", "num_classes": 3},
    "timm's with a number": {"architecture": 7},
    "timm's with arguments": {"architecture": "test_resnet", "model_args": {"act_layer": "x"}},
    "timm's with 10^12 classes": {"architecture": "test_resnet", "num_classes": 10**12},
    "timm's with a text for classes": {"architecture": "test_resnet", "num_classes": "3"},
    "timm's with a list for its past": {"architecture": "test_resnet", "pretrained_cfg": [1]},
    "transformers' of nobody": {"model_type": "no_such",
                                "architectures": ["XForImageClassification"]},
    "transformers' of texts": {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
    "transformers' with holes": {"model_type": "vit", "id2label": {"0": "a", "2": "b"}},
    "transformers' with no heads": {"model_type": "vit", "architectures": "ViT"},
    "transformers' with a side of 10^9": {"model_type": "vit", "image_size": 10**9,
                                          "architectures": ["ViTForImageClassification"]},
    "transformers' with 10^9 layers": {"model_type": "vit", "num_hidden_layers": 10**9,
                                       "architectures": ["ViTForImageClassification"]},
    "transformers' with a width of 10^9": {"model_type": "vit", "hidden_size": 10**9,
                                           "architectures": ["ViTForImageClassification"]},
}  # fmt: skip
