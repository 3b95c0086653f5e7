"""Pictures that are none, tables that name what is not there."""

import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from PIL import Image

from tests.faults.case import Case, dataset
from tests.faults.seeds import csv_members, image_members, parquet, picture, pixels, rows, zipped


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG that says it has this size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG that says it has this size."""
    data = picture(pixels(1)[0], "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def in_another_format(format_: str) -> bytes:
    """A picture that Pillow could read, were it allowed to."""
    buffer = io.BytesIO()
    Image.fromarray(pixels(1)[0]).save(buffer, format_)
    return buffer.getvalue()


def odd_pictures() -> Mapping[str, bytes]:
    """What is not a PNG or a JPEG, or not a good one."""
    line = zlib.compress(bytes(25), 9)
    good = picture(pixels(1)[0])
    text = zlib.compress(bytes(100_000_000), 9)
    return {
        "nothing": b"",
        "text": b"not a picture",
        "half a PNG": good[: len(good) // 2],
        "half a JPEG": picture(pixels(1)[0], "JPEG")[:300],
        "a PNG of 40,000 by 40,000": png(40_000, 40_000, chunk(b"IDAT", line)),
        "a PNG of 2^31": png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", line)),
        "a PNG of no width": png(0, 8, chunk(b"IDAT", line)),
        "a PNG of 3 bits": png(8, 8, chunk(b"IDAT", line), bits=3),
        "a PNG without data": png(8, 8),
        "a PNG with 100 MB of text": png(
            8, 8, chunk(b"zTXt", b"a\0\0" + text), chunk(b"IDAT", line)
        ),
        "a PNG with a 100 MB profile": png(
            8, 8, chunk(b"iCCP", b"a\0\0" + text), chunk(b"IDAT", line)
        ),
        "a PNG with more data than rows": png(
            8, 8, chunk(b"IDAT", zlib.compress(bytes(20_000_000), 9))
        ),
        "a PNG with a chunk of 2^31": good[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT",
        "a palette that is not there": png(8, 8, chunk(b"IDAT", line), colour=3),
        "a JPEG of 65,500 by 65,500": jpeg(65_500, 65_500),
        "a JPEG of no height": jpeg(8, 0),
        "a JPEG of markers": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 100_000 + b"\xff\xd9",
        **{f"a {form}": in_another_format(form) for form in ("GIF", "BMP", "TIFF", "PPM", "ICO",
                                                            "TGA", "PCX", "EPS", "PDF", "WEBP")},
        "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(x) run\n",
    }  # fmt: skip


def lies_of_pictures() -> Iterator[Case]:
    """In a zip, in parquet and beside a table."""
    for name, data in odd_pictures().items():
        harmless = name == "a PNG with more data than rows"
        for ending in ("png", "jpg"):
            members = zipped(image_members({f"train/cat/odd.{ending}": data}))
            yield dataset("image_zip", f"{name} called .{ending}", members, may_pass=harmless)
        images = [{"bytes": data, "path": "x.png"}, *rows()["image"][1:]]
        yield dataset(
            "parquet", f"{name} in parquet", parquet(rows(image=images)), may_pass=harmless
        )
    good = picture(pixels(1)[0])
    trees: dict[str, Mapping[str, bytes]] = {
        "no pictures": {"readme.txt": b"x"},
        "pictures without classes": {"0.png": good, "1.png": good},
        "one class": {"train/cat/0.png": good},
        "a split without classes": {"train/0.png": good, "test/0.png": good},
        "classes that differ": {"train/a/0.png": good, "test/b/0.png": good},
        "only test": {"test/a/0.png": good, "test/b/0.png": good},
        "pictures too deep": {"train/a/b/c/0.png": good, "train/d/0.png": good},
        "an archive within": {"train/a/0.png": zipped({"x": "y"}), "train/b/0.png": good},
    }
    for name, tree in trees.items():
        yield dataset("image_zip", f"image zip: {name}", zipped(tree), may_pass=True)


def lies_of_parquet() -> Iterator[Case]:
    """Each another lie."""
    images, labels = rows()["image"], rows()["label"]
    tables: dict[str, Mapping[str, Any]] = {
        "no columns": {"nothing": pa.nulls(12)},
        "no rows": {"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())},
        "no label": {"image": images},
        "no picture": {"label": labels},
        "labels that are null": rows(label=[None] * 12),
        "labels of which one is null": rows(label=[None, *labels[1:]]),
        "labels of -1": rows(label=[-1] * 12),
        "labels of 10^12": rows(label=[10**12] * 12),
        "labels that are lists": rows(label=[[1]] * 12),
        "labels that are fractions": rows(label=[0.5] * 12),
        "labels that are bytes": rows(label=[b"a", b"\xff"] * 6),
        "pictures that are null": rows(image=[None] * 12),
        "pictures that are paths": rows(image=["/etc/passwd"] * 12),
        "pictures with paths for bytes": rows(image=[{"bytes": None, "path": "/etc/passwd"}] * 12),
        "pictures that are numbers": rows(image=list(range(12))),
        "pictures without bytes": rows(image=[{"path": "x"}] * 12),
        "pictures that are lists": rows(image=[[1, 2]] * 12),
        "a split of nobody": rows(split=["dev"] * 12),
        "a split that is null": rows(split=[None] * 12),
        "a split that is a number": rows(split=[1] * 12),
        "300 columns": {**rows(), **{f"c{i}": [0] * 12 for i in range(300)}},
        "label twice": {**rows(), "labels": labels},
        "texts of 10 MB": {**rows(), "note": ["n" * 10_000_000] * 12},
    }
    for name, table in tables.items():
        yield dataset("parquet", f"parquet: {name}", parquet(table), may_pass=name in _HARMLESS)
    for key in (b"huggingface", b"pandas", b"ARROW:schema"):
        for text in (b"{", b"[" * 100_000, b'{"info": {"features": 7}}', b"\xff" * 100):
            data = parquet(rows(), {key: text}, store_schema=key != b"ARROW:schema")
            yield dataset(
                "parquet", f"parquet: {key.decode()} is {text[:9]!r}", data, may_pass=True
            )
    good = parquet()
    for name, at, value in (("footer", -8, 2**31 - 1), ("footer", -8, 0), ("footer", -8, 1)):
        changed = bytearray(good)
        struct.pack_into("<I", changed, len(good) + at, value)
        yield dataset("parquet", f"parquet: a {name} of {value} bytes", bytes(changed))
    yield dataset("parquet", "parquet: encrypted", good[:-4] + b"PARE")
    yield dataset("parquet", "parquet: only its ends", b"PAR1" + bytes(4) + b"PAR1")
    yield dataset("parquet", "a zip of half a parquet", zipped({"train.parquet": good[:900]}))
    yield dataset("parquet", "a zip of no parquet", zipped({"train.parquet": b"PAR1"}))


_HARMLESS = ("300 columns", "label twice", "texts of 10 MB", "labels that are bytes")


def lies_of_tables() -> Iterator[Case]:
    """CSV and JSON lines that name what is not there."""
    line = "images/0.png,a\n"
    tables: dict[str, str | bytes] = {
        "nothing": "",
        "no rows": "path,label\n",
        "no label": "path\nimages/0.png\n",
        "other columns": "a,b\n1,2\n",
        "a column twice": "path,label,label\nimages/0.png,a,b\n",
        "100 columns": ",".join(f"c{i}" for i in range(100)) + "\n",
        "a path that leads out": "path,label\n../../etc/passwd,a\n",
        "an absolute path": "path,label\n/etc/passwd,a\n",
        "an address": "path,label\nhttp://127.0.0.1/x.png,a\n",
        "a file that is not there": "path,label\nimages/99.png,a\n",
        "the table itself": "path,label\ntable.csv,a\n",
        "a path twice": "path,label\n" + line * 2,
        "too few fields": "path,label\nimages/0.png\n",
        "too many fields": "path,label\nimages/0.png,a,b,c\n",
        "an open quote": 'path,label\n"images/0.png,a\n',
        "NUL": b"path,label\nimages/0.png,a\0\n",
        "UTF-16": "path,label\nimages/0.png,a\n".encode("utf-16"),
        "not UTF-8": b"path,label\nimages/0.png,\xff\n",
        "a field of 10 MB": "path,label\nimages/0.png," + "a" * 10_000_000 + "\n",
        "200,000 rows of one picture": "path,label\n" + line * 200_000,
        "an empty label": "path,label\nimages/0.png,\n",
        "a split of nobody": "path,label,split\nimages/0.png,a,dev\n",
        "a negative label": "path,label\nimages/0.png,-1\n",
        "a label of 10^12": f"path,label\nimages/0.png,{10**12}\n",
        "a label of 10^5 digits": "path,label\nimages/0.png," + "9" * 100_000 + "\n",
    }
    for name, table in tables.items():
        yield dataset(
            "csv_zip",
            f"csv: {name}",
            zipped(csv_members(table)),
            may_pass=name == "the table itself",
        )
    pictures = {name: data for name, data in csv_members().items() if name != "table.csv"}
    lines: dict[str, str] = {
        "not JSON": "{\n",
        "a list": "[]\n",
        "deep": "[" * 100_000 + "\n",
        "numbers": json.dumps({"file_name": 7, "label": 1}) + "\n",
        "lists": json.dumps({"file_name": ["x"], "label": {"a": 1}}) + "\n",
        "NaN": '{"file_name": "images/0.png", "label": NaN}\n',
        "a label of 10^6 digits": '{"file_name": "images/0.png", "label": ' + "9" * 10**6 + "}\n",
    }
    for name, text in lines.items():
        yield dataset("csv_zip", f"jsonl: {name}", zipped({"metadata.jsonl": text, **pictures}))
    yield dataset("csv_zip", "csv: no table", zipped(pictures))
    two = {**csv_members(), "other.csv": "path,label\nimages/0.png,a\n"}
    yield dataset("csv_zip", "csv: two tables", zipped(two))
