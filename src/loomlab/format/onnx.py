"""ONNX: one file for ONNX Runtime and whatever else reads the standard."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.format.base import INPUTS, Format, Inputs, Runner
from loomlab.format.traced import traced

OPSET = 20


class ONNX(Format):
    """An ONNX graph of free batch size and length; needs the extra `onnx`.

    int8: weights of matrix products in 8 bits, activations rounded as they come (dynamic
    quantization of ONNX Runtime); tables of embeddings too.
    """

    file = "model.onnx"

    def __init__(self, int8: bool = False) -> None:
        self.int8 = int8
        if int8:
            self.tolerance = None
            self.perplexity_tolerance = 0.02

    def write(self, model: nn.Module, example: Inputs, folder: Path) -> None:
        """Trace the model, translate the graph, and quantize it if asked to."""
        _require_packages()
        for name in ("onnxscript", "torch.onnx"):  # they tell of packages that are not needed
            logging.getLogger(name).setLevel(logging.ERROR)
        names = [name for name in INPUTS if name in example]
        program = torch.onnx.export(
            traced(model, example), input_names=names, output_names=["logits"],
            opset_version=OPSET, dynamo=True, optimize=True, verbose=False,
        )  # fmt: skip
        assert program is not None
        if not self.int8:
            program.save(folder / self.file, external_data=False)
            return
        from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic

        whole, prepared = folder / "whole.onnx", folder / "prepared.onnx"
        program.save(whole, external_data=False)
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        # Unsigned weights: products of unsigned and signed bytes overflow their 16 bits on
        # processors without VNNI (documented by ONNX Runtime; logits of 4 were off by 2 there).
        quantize_dynamic(
            prepared, folder / self.file, weight_type=QuantType.QUInt8, per_channel=True,
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
        whole.unlink()
        prepared.unlink()

    def read(self, folder: Path, names: tuple[str, ...]) -> Runner:
        """An inference session with as many threads as torch has here."""
        _require_packages()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(
            folder / self.file, options, providers=["CPUExecutionProvider"]
        )

        def run(inputs: Inputs) -> torch.Tensor:
            given = {name: inputs[name].numpy() for name in names}
            return torch.from_numpy(session.run(["logits"], given)[0])

        return run


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"format=onnx needs the package {error.name}, which is not installed: "
            "pip install 'loomlab[onnx]'"
        ) from error
