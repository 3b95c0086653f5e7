"""What a pickle would call, read off its instructions without running one of them."""

import io
import pickletools  # nosec B403  # it names opcodes and runs none
from collections.abc import Iterator
from typing import Final

from worker.engine.errors import InvalidModel

ADVICE: Final = (
    "Send the weights alone: torch.save(model.state_dict(), 'model.pt'), or better "
    "safetensors.torch.save_model(model, 'model.safetensors')."
)

MAX_BYTES: Final = 8 << 20  # 20,000 tensors take about 4 MB
_MAX_INSTRUCTIONS: Final = 2_000_000

_DTYPES: Final = (
    *("float64", "float32", "float16", "bfloat16", "uint8", "int8", "int16", "int32", "int64"),
    "bool",
)
_STORAGES: Final = (
    *("Double", "Float", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool"),
)
ALLOWED: Final = frozenset(
    {
        "collections OrderedDict",
        "torch Size",
        "torch Tensor",
        "torch device",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch.nn.parameter Parameter",
        "torch.storage UntypedStorage",
        "torch.storage TypedStorage",
        *(f"torch {name}" for name in _DTYPES),
        *(f"torch {name}Storage" for name in _STORAGES),
    }
)
"""Names that a dict of tensors needs; `torch.load(weights_only=True)` would take a few more."""

# Protocol 2, which torch.save writes. STACK_GLOBAL, INST, OBJ, NEWOBJ_EX and the EXT family take
# names from the stack or from registries, where no scan sees them.
_PROTOCOL_2: Final = """
PROTO STOP GLOBAL REDUCE BUILD NEWOBJ MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT LONG
BININT BININT1 BININT2 LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE
BINUNICODE EMPTY_LIST EMPTY_TUPLE EMPTY_DICT EMPTY_SET LIST TUPLE TUPLE1 TUPLE2 TUPLE3 DICT APPEND
APPENDS SETITEM SETITEMS GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT BINPERSID
"""
_INSTRUCTIONS: Final = frozenset(_PROTOCOL_2.split())


def check_pickle(data: bytes) -> None:
    """Raises `InvalidModel` naming the first thing in it that a dict of tensors does not need."""
    if len(data) > MAX_BYTES:
        raise InvalidModel(f"its data.pkl has {len(data)} bytes, {MAX_BYTES} are taken", ADVICE)
    for count, (name, argument) in enumerate(_instructions(data)):
        if count >= _MAX_INSTRUCTIONS:
            raise InvalidModel("its data.pkl has too many instructions", ADVICE)
        if name not in _INSTRUCTIONS:
            raise InvalidModel(f"its data.pkl uses the instruction {name}", ADVICE)
        if name == "GLOBAL" and argument not in ALLOWED:
            wanted = str(argument)[:120].replace(" ", ".")
            raise InvalidModel(f"it holds an object that is not a tensor: {wanted}", ADVICE)


def _instructions(data: bytes) -> Iterator[tuple[str, object]]:
    at = 0
    try:
        for opcode, argument, position in pickletools.genops(io.BytesIO(data)):
            at = position or at
            yield opcode.name, argument
    except InvalidModel:
        raise
    except Exception as error:  # the reader of broken instructions raises whatever it meets
        raise InvalidModel(f"its data.pkl is broken after byte {at}", ADVICE) from error
