"""Test C++ operators that libraries register with TORCH_LIBRARY, and torch::autograd::Function."""

import os
import shutil
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import flambeau as fb
from flambeau.torch import cpp_extension

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
library = pytest.importorskip("flambeau.library")
SOURCE = Path(__file__).parent / "cpp" / "operators.cpp"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Build the library in a folder that all processes of this test run share, and return its path."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "operators"
    folder.mkdir(exist_ok=True)
    flags = ["-O0"]
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):  # free-threaded Python has no limited API
        flags.append("-DPy_LIMITED_API=0x03090000")  # many libraries compile with this flag
    cpp_extension.load("operators", str(SOURCE), flags, build_directory=str(folder), is_python_module=False)
    return folder / "operators.so"


@pytest.fixture
def ops(built):
    return fb.ops.cpp_test


def doubles(*values, requires_grad=False):
    return fb.tensor(values, dtype=fb.float64, requires_grad=requires_grad)


def test_a_cpp_operator_takes_defaults_and_keywords(ops):
    x = doubles(1, 2)
    assert ops.scaled(x).tolist() == [2, 4]
    assert ops.scaled.default(x, factor=3).tolist() == [3, 6]
    assert ops.scaled(x, 3.0, shift=doubles(1, 1)).tolist() == [4, 7]
    with pytest.raises(RuntimeError, match=r"cpp_test::scaled\(\).*Declaration: cpp_test::scaled\(Tensor x, float"):
        ops.scaled()
    with pytest.raises(RuntimeError, match="Expected a value of type 'Tensor' for argument 'x'"):
        ops.scaled(3)


def test_a_cpp_meta_kernel_gives_the_shape_of_the_result(ops):
    result = ops.scaled(fb.empty(2, 3, dtype=fb.float64, device="meta"))
    assert result.is_meta and tuple(result.shape) == (2, 3)


def test_register_autograd_gives_a_cpp_operator_a_derivative(ops):
    x = doubles(1, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        ops.scaled(x).sum().backward()

    def setup(ctx, inputs, keyword_only_inputs, output):
        ctx.factor = inputs[1]

    library.register_autograd("cpp_test::scaled", lambda ctx, grad: (grad * ctx.factor, None), setup_context=setup)
    ops.scaled(x, 5.0).sum().backward()
    assert x.grad.tolist() == [5, 5]
    assert fb.autograd.gradcheck(lambda x: ops.scaled(x, 5.0), x)
    library.opcheck(ops.scaled, (x, 2.0))


def test_a_cpp_operator_may_have_overloads(ops):
    x = doubles(1, 2, requires_grad=True)
    assert ops.shifted.overloads() == ["number", "tensor", "twice"]
    assert ops.shifted(x, 2).tolist() == [3, 4] and ops.shifted.number(x, by=3.0).tolist() == [4, 5]
    assert ops.shifted(x).tolist() == [3, 4] and ops.shifted.twice.overloadpacket is ops.shifted
    ops.shifted(x, x).sum().backward()
    assert x.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match=r"failed to match any schema:\ncpp_test::shifted\(\)"):
        ops.shifted(x, "text")


def test_a_cpp_operator_that_mutates_arguments_increments_their_version(ops):
    out = doubles(9, 9)
    version = out._version
    assert ops.write_sum([doubles(1, 2), doubles(3, 4)], out) is None
    assert out.tolist() == [4, 6] and out._version > version


def test_a_composite_cpp_operator_is_differentiable(ops):
    x, y = doubles(3, 1, requires_grad=True), doubles(4, 2, requires_grad=True)
    assert ops.hypotenuse(x.detach(), y.detach()).tolist() == pytest.approx([5, 5**0.5])
    assert fb.autograd.gradcheck(ops.hypotenuse, (x, y))
    assert fb.autograd.gradgradcheck(ops.hypotenuse, (x, y))


def test_a_cpp_autograd_kernel_is_called_if_gradients_are_recorded(ops):
    assert ops.halved(doubles(4)).tolist() == [2]
    x = doubles(4, requires_grad=True)
    result = ops.halved(x)
    assert result.grad_fn.name() == "HalvedBackward0"
    result.backward()
    assert x.grad.tolist() == [0.5]


def test_a_cpp_autograd_function_uses_its_backward(ops):
    x, y = doubles(1, 2, requires_grad=True), doubles(-1, 4, requires_grad=True)
    value, positive = ops.cube_add(x, y)
    np.testing.assert_array_equal(value.detach().numpy(), [0, 12])
    assert positive.tolist() == [False, True] and not positive.requires_grad
    assert value.grad_fn.name() == "CubeAddBackward0"
    assert fb.autograd.gradcheck(lambda x, y: ops.cube_add(x, y)[0], (x, y))
    assert fb.autograd.gradgradcheck(lambda x, y: ops.cube_add(x, y)[0], (x, y))
    with fb.no_grad():
        assert ops.cube_add(x, y)[0].grad_fn is None
    assert fb.autograd.gradcheck(lambda y: ops.cube_add(x.detach(), y)[0], y)


def test_cpp_operators_take_and_return_values_of_other_types(ops):
    assert ops.echo(1, "text", [1, 2.5], True) == (2, "text!", [1.0, 2.5], False)
    result = ops.doubled({"a": doubles(1), "b": doubles(2)})
    assert {name: value.tolist() for name, value in result.items()} == {"a": [2], "b": [4]}
    assert ops.sum_of((1, 2), fb.float64) == 8003
    with pytest.raises(TypeError, match="Expected int but got str"):
        ops.echo("1", "text", [], True)


def test_vmap_maps_a_cpp_operator(ops):
    func = pytest.importorskip("flambeau.func")
    x, y = doubles(3, 0), doubles(4, 2)
    assert func.vmap(ops.hypotenuse)(x, y).tolist() == [5, 2]
    assert func.vmap(ops.scaled)(x).tolist() == [6, 0]


def test_a_traced_program_calls_the_cpp_operator(ops):
    jit = pytest.importorskip("flambeau.jit")
    program = jit.trace(lambda x, y: ops.hypotenuse(x, y) + ops.scaled(x), (doubles(3), doubles(4)))
    assert "cpp_test::hypotenuse" in str(program.graph) and program(doubles(6), doubles(8)).tolist() == [22]


def test_the_schema_of_a_cpp_operator_is_inferred_from_its_function(ops):
    assert str(ops.cube_add.default._schema) == "cpp_test::cube_add(Tensor _0, Tensor _1) -> (Tensor, Tensor)"
    assert str(ops.doubled.default._schema) == "cpp_test::doubled(Dict(str, Tensor) _0) -> Dict(str, Tensor)"


def test_load_library_rejects_files_that_are_not_libraries(tmp_path):
    (tmp_path / "lib.so").write_text("no library")
    with pytest.raises(OSError, match=r"lib\.so"):
        fb.ops.load_library(str(tmp_path / "lib.so"))
