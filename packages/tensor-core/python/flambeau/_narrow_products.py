"""Matrix products of integers and float8 numbers, under the names of PyTorch's operators."""

from __future__ import annotations

from flambeau._core import Tensor, dtype, int8, int32, mm, uint8


def _int_mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Multiply two int8 or uint8 matrices. The result has the dtype int32."""
    for name, matrix in (("self", input), ("mat2", mat2)):
        if matrix.dim() != 2 or matrix.dtype not in (int8, uint8):
            raise RuntimeError(
                f"_int_mm: expected {name} to be a matrix of the dtype int8 or uint8, got {matrix.dtype} of the shape "
                f"{tuple(matrix.shape)}"
            )
    return mm(input.to(int32), mat2.to(int32), out=out)


def _scaled_mm(
    input: Tensor,
    mat2: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    bias: Tensor | None = None,
    scale_result: Tensor | None = None,
    out_dtype: dtype | None = None,
    use_fast_accum: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Multiply two float8 matrices with scales: ``(input * scale_a) @ (mat2 * scale_b) + bias``, summed in float32.

    Args:
        input, mat2: float8 matrices ``(M, K)`` and ``(K, N)``.
        scale_a, scale_b: float32 tensors with one element, or with the shapes ``(M, 1)`` and ``(1, N)``.
        bias: tensor of shape ``(N,)``.
        scale_result: factor for a float8 result; ignored for other dtypes.
        out_dtype: dtype of the result (default: the dtype of ``input``).
        use_fast_accum: ignored.
    """
    for name, matrix in (("mat1", input), ("mat2", mat2)):
        if not (matrix.is_floating_point() and matrix.itemsize == 1):
            raise RuntimeError(f"Expected {name} to be Float8 matrix got {matrix.dtype}")
    product = mm(input.float(), mat2.float()) * scale_a * scale_b
    if bias is not None:
        product = product + bias.float()
    out_dtype = input.dtype if out_dtype is None else out_dtype
    if scale_result is not None and out_dtype.itemsize == 1:
        product = product * scale_result
    return product.to(out_dtype) if out is None else out.copy_(product)
