"""What the node is measured against: a TorchScript fp32 model of the same shape behind a Python gRPC server.

    reference.py export --out DIR --tokenizer FILE   the same random weights as TorchScript, ONNX fp32 and ONNX int8
    reference.py gemm --model DIR                    what this machine's matrix multiplication reaches, in GFLOP/s
    reference.py serve --model DIR --port N          sentinel.review.v1.ReviewService/ReviewChunk

Needs torch, onnx, onnxruntime, tokenizers, grpcio and grpcio-tools. The request's `commit` says how many tokens the
sequence is to have, so that both sides run the same length.
"""

import argparse
import importlib
import json
import shutil
import sys
import tempfile
import time
from concurrent import futures
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))


def export(out: Path, tokenizer: Path) -> None:
    from sentinel_review.export import to_int8, to_onnx
    from sentinel_review.manifest import write_manifest
    from sentinel_review.model import Reviewer

    torch.manual_seed(0)
    # The size that the benchmark compares at: 6 layers, 512 wide. One judge, because judges cost next to nothing beside it.
    model = Reviewer.untrained(tokenizer, width=512, layers=6, judges=1).eval()
    for kind in ["fp32", "int8"]:
        (out / kind).mkdir(parents=True, exist_ok=True)
        for file in ("tokenizer.json", "controls.json"):
            shutil.copy(tokenizer.with_name(file), out / kind / file)
    to_onnx(model, out / "fp32/model.onnx")
    to_int8(out / "fp32/model.onnx", out / "int8/model.onnx")
    for kind in ["fp32", "int8"]:
        write_manifest(out / kind, f"reference_{kind}", 512, {"a": 1.0, "b": 0.0}, {})
    ids = torch.randint(9, 32_000, (1, 16))
    torch.jit.trace(model, (ids, torch.ones_like(ids))).save(str(out / "model.pt"))


def gemm(folder: Path) -> None:
    """One thread, 512 × 512 by 512 × 2048, as the model's widest layer is."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    torch.set_num_threads(1)
    a, b = torch.randn(512, 512), torch.randn(512, 2048)
    rates = {"fp32": rate(lambda: a @ b)}
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "gemm",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [512, 512])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [512, 2048])],
        [helper.make_tensor("b", TensorProto.INT8, [512, 2048], np.random.randint(-127, 127, 512 * 2048).astype(np.int8).tobytes(), raw=True)],
    )
    path = folder / "gemm.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    feed = {"a": np.random.randint(0, 255, (512, 512)).astype(np.uint8)}
    rates["int8"] = rate(lambda: session.run(None, feed))
    print(json.dumps(rates))


def rate(run) -> float:
    """The best of some rounds: what the machine can, not what it did while others ran."""
    best = 0.0
    for _ in range(8):
        started = time.perf_counter()
        for _ in range(20):
            run()
        best = max(best, 20 * 2 * 512 * 512 * 2048 / (time.perf_counter() - started) / 1e9)
    return best


def serve(folder: Path, port: int) -> None:
    import grpc
    from grpc_tools import protoc

    generated = tempfile.mkdtemp()
    proto = ROOT / "proto"
    arguments = ["protoc", f"-I{proto}", f"--python_out={generated}", f"--grpc_python_out={generated}"]
    assert protoc.main([*arguments, str(proto / "sentinel/review/v1/review.proto")]) == 0
    sys.path.insert(0, generated)
    messages = importlib.import_module("sentinel.review.v1.review_pb2")
    services = importlib.import_module("sentinel.review.v1.review_pb2_grpc")
    model = torch.jit.freeze(torch.jit.load(str(folder / "model.pt")).eval())
    tokenizer = Tokenizer.from_file(str(folder / "fp32/tokenizer.json"))
    severities = ["nit", "suggestion", "bug", "critical"]

    class Service(services.ReviewServiceServicer):
        def ReviewChunk(self, request, context):
            length = int(request.commit)
            ids = tokenizer.encode(request.patch).ids or [9]
            ids = (ids * (length // len(ids) + 1))[:length]
            tokens = torch.tensor([ids])
            with torch.inference_mode():
                needs, severity, category, _ = model(tokens, torch.ones_like(tokens))
            index = int(severity.argmax())
            return messages.ReviewResponse(
                filename=request.filename,
                severity=severities[index],
                severity_id=index,
                category=str(int(category.argmax())),
                confidence=float(needs.sigmoid()),
                idempotency_key=request.idempotency_key,
            )

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    services.add_ReviewServiceServicer_to_server(Service(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["export", "gemm", "serve"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.task == "export":
        export(options.out, options.tokenizer)
    elif options.task == "gemm":
        gemm(options.model)
    else:
        serve(options.model, options.port)


if __name__ == "__main__":
    main()
