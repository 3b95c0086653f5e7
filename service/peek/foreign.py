"""Formats that are not taken, by their first bytes, and what to send instead."""

from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 512

SAVE_WEIGHTS: Final = (
    "send safetensors: safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
)
_SAVE_ONNX: Final = "send ONNX, or the PyTorch weights as safetensors"
_UNPACK: Final = "unpack it and send what is inside"


@dataclass(frozen=True)
class Foreign:
    """What it is, and what to do."""

    what: str
    advice: str

    def __str__(self) -> str:
        return f"this is {self.what}; {self.advice}"


_PICKLE: Final = Foreign("a pickle, which can run code", SAVE_WEIGHTS)
_BY_MAGIC: Final[tuple[tuple[int, bytes, Foreign], ...]] = (
    (0, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
     Foreign("a pickle in PyTorch's format before 1.6, which can run code", SAVE_WEIGHTS)),
    *((0, bytes((0x80, version)), _PICKLE) for version in range(6)),
    *((0, opcode, _PICKLE) for opcode in (b"(dp", b"(lp", b"cposix\n", b"c__builtin__\n", b"cos\n",
                                          b"cbuiltins\n", b"csubprocess\n", b"ccollections\n",
                                          b"ctorch", b"cnumpy", b"(iposix\n", b"(ios\n")),
    (257, b"ustar", Foreign("a tar archive", _UNPACK)),
    (0, b"\x1f\x8b", Foreign("compressed with gzip", _UNPACK)),
    (0, b"BZh", Foreign("compressed with bzip2", _UNPACK)),
    (0, b"\xfd7zXZ\x00", Foreign("compressed with xz", _UNPACK)),
    (0, b"\x28\xb5\x2f\xfd", Foreign("compressed with zstd", _UNPACK)),
    (0, b"\x04\x22\x4d\x18", Foreign("compressed with lz4, as joblib does", SAVE_WEIGHTS)),
    *((0, head, Foreign("compressed with zlib, as joblib does", SAVE_WEIGHTS))
      for head in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", _UNPACK)),
    (0, b"Rar!", Foreign("a rar archive", _UNPACK)),
    (0, b"\x89HDF", Foreign("HDF5, such as Keras and TensorFlow write", _SAVE_ONNX)),
    (4, b"TFL3", Foreign("a TensorFlow Lite model", _SAVE_ONNX)),
    (4, b"ET12", Foreign("an ExecuTorch program", SAVE_WEIGHTS)),
    (0, b"GGUF", Foreign("GGUF, which holds language models", SAVE_WEIGHTS)),
    (0, b"lmgg", Foreign("GGML, which holds language models", SAVE_WEIGHTS)),
    (0, b"ftrt", Foreign("a TensorRT engine, which fits one GPU only", _SAVE_ONNX)),
    (0, b"ptrt", Foreign("a TensorRT engine, which fits one GPU only", _SAVE_ONNX)),
    (0, b"\x93NUMPY", Foreign("a single numpy array", "send numpy.savez(…) of all arrays")),
    (0, b"PAR1", Foreign("parquet", "register it as a dataset, with format parquet")),
    (0, b"\x89PNG", Foreign("a picture", "send a zip with a folder of pictures per class")),
    (0, b"\xff\xd8\xff", Foreign("a picture", "send a zip with a folder of pictures per class")),
    (0, b"%PDF", Foreign("a PDF", "send the model or the data itself")),
    (0, b"%!PS", Foreign("PostScript", "send the model or the data itself")),
    (0, b"\x7fELF", Foreign("a program", "send the weights alone")),
    (0, b"MZ", Foreign("a program", "send the weights alone")),
    (0, b"<?xml", Foreign("XML, such as OpenVINO writes", _SAVE_ONNX)),
    (0, b"<", Foreign("a web page or XML", "look at what was downloaded; send the file itself")),
    (0, b"version https://git-lfs", Foreign("a pointer of git LFS", "send the file it stands for")),
)  # fmt: skip


def foreign(head: bytes) -> Foreign | None:
    """What it is, if it is known and not taken."""
    for at, magic, what in _BY_MAGIC:
        if head.startswith(magic, at):
            return what
    return None
