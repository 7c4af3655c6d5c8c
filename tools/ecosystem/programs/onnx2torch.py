"""Test of onnx2torch, which converts ONNX models to modules."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx2torch import convert

from tools.ecosystem.cases import normal


def converted():
    rng = np.random.default_rng(0)

    def constant(name, *shape):
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "g", "h"], ["l"], transB=1),
        helper.make_node("Softmax", ["l"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 5])],
        [constant("w", 4, 3, 3, 3), constant("b", 4), constant("g", 5, 16), constant("h", 5)],
    )
    model = convert(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    onnx.checker.check_graph(graph)
    output = model(normal(2, 3, 8, 8))
    output[:, 0].sum().backward()
    return {"output": output, "gradients": [p.grad for p in model.parameters()], "names": sorted(model.state_dict())}
