"""int8 by NNCF: ranges and corrections of biases by OpenVINO's own tool, on the same graph."""

import os
from collections.abc import Sequence

from worker.engine.errors import RuntimeMissing
from worker.engine.quantize.integer import StaticQuantizer, quiet
from worker.engine.quantize.layers import Layer


class NncfQuantizer(StaticQuantizer):
    """As its base, which still judges single layers: they are looked at for their order alone."""

    def all_but(self, kept: Sequence[Layer]) -> bytes:
        """Calibrated anew each time. Raises `RuntimeMissing` without NNCF."""
        os.environ.setdefault("NNCF_CI", "1")  # what it takes for its statistics' off switch
        try:
            import nncf
        except ImportError as error:
            raise RuntimeMissing("nncf is not installed on this worker") from error
        import onnx

        model = onnx.load(self.prepared)
        data = nncf.Dataset(self.batches, lambda batch: {self.input: batch})
        scope = nncf.IgnoredScope(names=[layer.node for layer in kept]) if kept else None
        with quiet("quantised"):
            made = nncf.quantize(model, data, subset_size=len(self.batches), ignored_scope=scope)
        content: bytes = made.SerializeToString()
        return content
