"""Hostile models: programs, folders with code of their own, names that are commands, graphs."""

import io
import json
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper

from tests.faults.case import Case, graph, model
from tests.faults.lies_of_weights import entry, raw_safetensors
from tests.faults.lies_of_zips import symlink
from tests.faults.marks import Marks, evil
from tests.faults.pickles import Call
from tests.faults.seeds import (
    CONFIG,
    folder_zip,
    onnx_file,
    torch_file,
    weights,
    zipped,
)

_PROGRAMS = ("modeling.py", "setup.py", "sitecustomize.py", "torch.py")


def programs(marks: Marks) -> Iterator[Case]:
    """TorchScript: an operator that writes a file, when run and when loaded."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, which is not news
        path = marks.command("torchscript that writes").split()[-1]
        traced: Any = torch.jit.trace  # untyped
        torch.jit.save(traced(torch.nn.Linear(4, 2), torch.ones(1, 4)), buffer)
    yield model("torchscript", buffer.getvalue())
    with zipfile.ZipFile(buffer) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    code = next(name for name in members if name.endswith(".py"))
    source = f'\n  def __setstate__(self, x: Tensor) -> None:\n    ops.aten.save(x, "{path}")\n'
    written = {**members, code: members[code] + source.encode()}
    yield model("torchscript that writes", zipped(written, zipfile.ZIP_STORED))
    for member in ("data.pkl", "constants.pkl"):
        label = f"torchscript with a pickle for {member}"
        changed = {n: evil(marks, label) if n.endswith(member) else d for n, d in members.items()}
        yield model(label, zipped(changed, zipfile.ZIP_STORED))


def exported(marks: Marks) -> Iterator[Case]:
    """The four ways in which torch.export.load runs what it reads, and one more."""
    buffer = io.BytesIO()
    linear = torch.nn.Linear(4, 2)
    torch.export.save(torch.export.export(linear, (torch.ones(1, 4),)), buffer)
    with zipfile.ZipFile(buffer) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    top = next(iter(members)).partition("/")[0]
    for way, member in {
        "weights": f"{top}/data/weights/weight_0",
        "constants": f"{top}/data/constants/opaque_0",
        "sample inputs": f"{top}/data/sample_inputs/model.pt",
    }.items():
        evil = torch_file(Call(os.system, (marks.command(f"pt2 {way}"),)))
        yield model(f"pt2 {way}", zipped({**members, member: evil}, zipfile.ZIP_STORED))
    program = next(name for name in members if name.endswith("models/model.json"))
    python = f"__import__('os').system({marks.command('pt2 expressions')!r})"
    document = json.loads(members[program])
    document["range_constraints"] = {python: {"min_val": 0, "max_val": 1}}
    changed = json.dumps(document).replace('"as_int": 1', f'"as_expr": {json.dumps(python)}')
    yield model("pt2 expressions", zipped({**members, program: changed}, zipfile.ZIP_STORED))
    disguised = {name.replace("models/", "parts/"): data for name, data in members.items()}
    yield model("pt2 in disguise", zipped(disguised, zipfile.ZIP_STORED))


def folders(marks: Marks) -> Iterator[Case]:
    """Hugging Face folders that bring code of their own."""

    def code(label: str) -> bytes:
        return f"import os\nos.system({marks.command(label)!r})\n".encode()

    vit = {"model_type": "vit", "architectures": ["ViTForImageClassification"]}
    auto = {"AutoModelForImageClassification": "modeling.Evil", "AutoConfig": "modeling.Config"}
    yield graph(
        "auto_map", folder_zip({**vit, "auto_map": auto}, **{"modeling.py": code("auto_map")})
    )
    yield graph(
        "auto_map of an unknown kind",
        folder_zip(
            {**vit, "model_type": "evil", "auto_map": auto},
            **{"modeling.py": code("auto_map of an unknown kind")},
        ),
    )
    yield graph("trust_remote_code", folder_zip({**vit, "trust_remote_code": True}))
    processor = json.dumps({"auto_map": {"AutoImageProcessor": "modeling.Evil"}}).encode()
    yield graph(
        "auto_map of a processor", folder_zip(vit, **{"preprocessor_config.json": processor})
    )
    yield graph(
        "programs beside",
        folder_zip(CONFIG, **dict.fromkeys(_PROGRAMS, code("programs beside"))),
        may_pass=True,
    )  # fmt: skip
    weightless = {"config.json": json.dumps(CONFIG)}
    for name in ("pytorch_model.bin", "model.pt", "training_args.bin", "model.safetensors"):
        label = f"a pickle for {name}"
        evil = torch_file(Call(os.system, (marks.command(label),)))
        yield graph(label, zipped({**weightless, name: evil}))
    evil = torch_file(Call(os.system, (marks.command("a pickle beside"),)))
    yield graph("a pickle beside", folder_zip(CONFIG, **{"optimizer.pt": evil}), may_pass=True)
    target = {"_target_": "os.system", "command": marks.command("hydra")}
    yield graph("hydra", folder_zip({**CONFIG, "extra": target}), may_pass=True)
    yield graph("quantization_config", folder_zip({**vit, "quantization_config": target}))
    for path in (str(marks.secret), "../secret"):
        linked = symlink(zipped(weightless), "model.safetensors", path)
        yield graph(f"weights that are a link to {path}", linked)
        yield graph(f"a file called {path}", folder_zip(CONFIG, **{path: code("paths")}))


def names(marks: Marks) -> Iterator[Case]:
    """Architectures and options that a careless lookup would fetch, import or run."""
    good = torch_file(dict(weights()))
    shell = marks.command("names in a shell")
    python = f"__import__('os').system({shell!r})"
    for name in (
        *("hf-hub:evil/model", "timm/hf-hub:evil/model", "timm/hf_hub:evil/model"),
        *("timm/local-dir:/tmp", f"timm/local-dir:{marks.folder}", "timm/https://127.0.0.1/x.pth"),
        *("torchvision/../../x", "torchvision/__init__", "torchvision/os.system", "timm/__class__"),
        *("os.system", "builtins.exec", "evil.package:Model", "transformers/evil", "../../x"),
        *(f"$({shell})", f"mlp; {shell}", f"`{shell}`", python, "mlp\n" + shell, "mlp\0x"),
    ):
        yield model(f"the architecture {name[:60]!r}", good, architecture=name)
    for options in (
        {"checkpoint_path": str(marks.secret)},
        {"pretrained": True},
        {"pretrained_cfg": {"url": "http://127.0.0.1:9/x.pth"}},
        {"pretrained_cfg": {"file": str(marks.secret)}},
        {"act_layer": "os.system"},
        {"block": python},
        {"__class__": "os.system"},
        {"scriptable": True, "exportable": True, "cache_dir": str(marks.folder)},
    ):
        said_: Mapping[str, Any] = {
            "architecture": "timm/resnet18", "options": options, "input_size": [3, 32, 32]
        }  # fmt: skip
        yield model(f"the options {options!r:.60}", good, **said_)
    html = ["<script>alert(1)</script>", "{{ 7*7 }}", '"><img src=x onerror=alert(1)>']
    yield model("labels of HTML", good, may_pass=True, labels=html)
    header = {"../../" + str(marks.secret): entry([1], 0, 4), "__metadata__": {"x": python}}
    yield model("safetensors of paths", raw_safetensors(header, b"0000"))


def graphs(marks: Marks) -> Iterator[Case]:
    """ONNX that reads files, brings operators, or names libraries."""
    for place in (
        *(str(marks.secret), "secret", "../secret", "../../../../../../etc/passwd", "/etc/passwd"),
        *("*/_ORT_MEM_ADDR_/*", "/proc/self/environ", "/proc/self/mem", "order.json", "source"),
        *("http://127.0.0.1:9/x", "file:///etc/passwd", "~/secret", "secret\0.bin"),
    ):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 16])
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in {"location": place, "offset": "0", "length": "192"}.items():
            tensor.external_data.add(key=key, value=text)
        yield graph(f"external data at {place!r}", onnx_file(initializer=[tensor]))
        tensor.data_location = TensorProto.DEFAULT
        yield graph(f"external data, not said, at {place!r}", onnx_file(initializer=[tensor]))
    flat = helper.make_node("Flatten", ["x"], ["flat"])
    for domain, operator, attributes in (
        ("com.evil", "Exec", {"command": marks.command("an operator")}),
        ("ai.onnx.contrib", "PyOp", {"module": "os", "class_name": "system"}),
        ("com.microsoft", "EPContext", {"ep_cache_context": str(marks.secret), "embed_mode": 0}),
        ("com.microsoft", "DecoderMaskedMultiHeadAttention", {}),
        ("ai.onnx.ml", "TreeEnsembleClassifier", {}),
        ("ai.onnx.training", "Gradient", {}),
        ("org.pytorch.aten", "ATen", {"operator": "save"}),
        ("", "ImageDecoder", {}),
        ("", "Loop", {}),
    ):
        node = helper.make_node(operator, ["flat"], ["y"], domain=domain, **attributes)
        yield graph(f"the operator {domain}.{operator}", onnx_file(nodes=[flat, node]))
    body = helper.make_function(
        "com.evil", "F", ["a"], ["b"], [helper.make_node("Exec", ["a"], ["b"], domain="com.evil2")],
        [helper.make_opsetid("com.evil2", 1)],
    )  # fmt: skip
    node = helper.make_node("F", ["flat"], ["y"], domain="com.evil")
    yield graph("a function", onnx_file(nodes=[flat, node], functions=[body]))
    hidden = helper.make_function(
        "", "Flatten", ["a"], ["b"], [helper.make_node("Exec", ["a"], ["b"], domain="com.evil2")],
        [helper.make_opsetid("com.evil2", 1)],
    )  # fmt: skip
    yield graph("a function of a known name", onnx_file(functions=[hidden]))
    proto = onnx.ModelProto.FromString(onnx_file())
    proto.metadata_props.add(key="ort.custom_op_library", value=str(marks.secret))
    proto.metadata_props.add(key="ort_config", value='{"session_options": {"x": "y"}}')
    proto.producer_name = marks.command("a producer")
    yield graph("a library in metadata", proto.SerializeToString(), may_pass=True)
