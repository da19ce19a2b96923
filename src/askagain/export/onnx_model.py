"""The encoder as an ONNX graph: ids and offsets in, vectors out; texts become ids by the files beside it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from askagain.errors import InputError
from askagain.export.packages import needed
from askagain.export.request import Encode, Request
from askagain.models.bag_encoder import SHORTEST, BagEncoder
from askagain.models.folder import SETTINGS, reason, write_parts
from askagain.text.bags import Bags
from askagain.text.features import Features
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.text_tokenizer import TextTokenizer

OPSET = 18  # ReduceSumSquare takes its axes as an input since then
IR_VERSION = 10  # of files for this opset; older runtimes refuse newer ones
MODEL, WEIGHTS = "model.onnx", "model.onnx.data"
BLOCK = 256  # texts run together; the graph holds a row for each of their features
LARGEST_FILE = 1 << 30  # bytes; a protobuf message has at most 2 GiB, and larger tables go to a second file


class OnnxEncoder:
    """An exported encoder, run by onnxruntime.

    `folder`: what `askagain export --format onnx` wrote. Raises InputError where it holds no such model.
    """

    def __init__(self, folder: str | Path) -> None:
        runtime = needed("onnxruntime")
        folder = Path(folder)
        try:
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            features = Features.load(folder, settings["features"])
            self._tokenize = TextTokenizer(TextPreprocessor(**settings["preprocessor"]), features)
            self._session = runtime.InferenceSession(str(folder / MODEL), providers=["CPUExecutionProvider"])
        except Exception as error:  # a damaged file may raise nearly anything
            raise InputError(f"{folder}: no exported ONNX model ({reason(error)}); export it again") from error

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, dim] float32."""
        bags = self._tokenize(texts)
        blocks = [bags.slice(start, min(start + BLOCK, len(bags))) for start in range(0, max(len(bags), 1), BLOCK)]
        return np.concatenate([self._run(block) for block in blocks])

    def _run(self, bags: Bags) -> np.ndarray:
        inputs = {"ids": bags.ids.astype(np.int64), "offsets": bags.offsets.astype(np.int64)}
        (vectors,) = self._session.run(["vectors"], inputs)
        return vectors


def write(request: Request, path: Path) -> None:
    """Writes `model.onnx`, checked, and the JSON files of the encoder into a folder."""
    onnx = needed("onnx")
    path.mkdir()
    write_parts(request.encoder, path)
    model = onnx_model(request.encoder)
    if request.encoder.table.nbytes > LARGEST_FILE:
        onnx.save_model(model, str(path / MODEL), save_as_external_data=True, location=WEIGHTS)
    else:
        onnx.save_model(model, str(path / MODEL))
    onnx.checker.check_model(str(path / MODEL), full_check=True)


def read(_request: Request, path: Path) -> Encode:
    """The model in a folder, run by onnxruntime."""
    return OnnxEncoder(path).encode


def onnx_model(encoder: BagEncoder) -> Any:
    """The graph of an encoder: inputs `ids` [n] and `offsets` [texts + 1], both int64, output `vectors` [texts, dim].

    Text `i` has the features `ids[offsets[i]:offsets[i + 1]]`, as in `askagain.text.bags.Bags`. The vectors of equal
    texts may differ in their last bit.
    """
    onnx = needed("onnx")
    node, types = onnx.helper.make_node, onnx.TensorProto
    table = encoder.table.take(np.arange(len(encoder.table)))  # [features, dim] float32
    constants = {
        "table": table,
        "zero": np.array([0], dtype=np.int64),
        "one": np.array([1], dtype=np.int64),
        "last": np.array([-1], dtype=np.int64),
        "far": np.array([np.iinfo(np.int64).max], dtype=np.int64),
        "axis": np.array(0, dtype=np.int64),
        "nothing": np.zeros((1, encoder.dim)),
    }
    nodes = [
        # A sum from one place to another is the difference of two running sums. In float64 nothing is lost by it, and
        # a sum of no rows is 0. Adding rows at indices in place, by ScatterElements, took five times as long.
        node("Gather", ["table", "ids"], ["rows"], axis=0),
        node("Cast", ["rows"], ["wide_rows"], to=types.DOUBLE),
        node("CumSum", ["wide_rows", "axis"], ["running_sums"]),
        node("Concat", ["nothing", "running_sums"], ["sums_before"], axis=0),
        node("Slice", ["offsets", "one", "far"], ["stops"]),
        node("Slice", ["offsets", "zero", "last"], ["starts"]),
        node("Gather", ["sums_before", "stops"], ["sums_to_stops"], axis=0),
        node("Gather", ["sums_before", "starts"], ["sums_to_starts"], axis=0),
        node("Sub", ["sums_to_stops", "sums_to_starts"], ["wide_sums"]),
        node("Cast", ["wide_sums"], ["sums"], to=types.FLOAT),
    ]
    pooled = "sums"
    if encoder.pooling == "mean":
        pooled = "means"
        nodes += [
            node("Sub", ["stops", "starts"], ["lengths"]),
            node("Max", ["lengths", "one"], ["divisors"]),
            node("Cast", ["divisors"], ["float_divisors"], to=types.FLOAT),
            node("Unsqueeze", ["float_divisors", "last"], ["divisor_column"]),
            node("Div", ["sums", "divisor_column"], ["means"]),
        ]
    if encoder.normalize:
        constants["shortest"] = np.array(SHORTEST, dtype=np.float32)
        nodes += [
            node("ReduceSumSquare", [pooled, "last"], ["squares"], keepdims=1),
            node("Sqrt", ["squares"], ["lengths_of_vectors"]),
            node("Max", ["lengths_of_vectors", "shortest"], ["scales"]),
            node("Div", [pooled, "scales"], ["vectors"]),
        ]
    else:
        nodes.append(node("Identity", [pooled], ["vectors"]))
    graph = onnx.helper.make_graph(
        nodes,
        "askagain",
        [
            onnx.helper.make_tensor_value_info("ids", types.INT64, ["features"]),
            onnx.helper.make_tensor_value_info("offsets", types.INT64, ["texts_and_one"]),
        ],
        [onnx.helper.make_tensor_value_info("vectors", types.FLOAT, ["texts", encoder.dim])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="askagain")
