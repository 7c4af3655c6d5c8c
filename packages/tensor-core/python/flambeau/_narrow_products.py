"""Matrix products of integers and float8 numbers, under the names of PyTorch's operators."""

from __future__ import annotations

from flambeau._core import Tensor, bfloat16, dtype, float16, float32, int8, int32, mm, uint8


def _int_mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Multiply two int8 or uint8 matrices. The result has the dtype int32."""
    for name, matrix in (("self", input), ("mat2", mat2)):
        if matrix.dim() != 2 or matrix.dtype not in (int8, uint8):
            raise RuntimeError(
                f"_int_mm: expected {name} to be a matrix of the dtype int8 or uint8, got {matrix.dtype} of the shape "
                f"{tuple(matrix.shape)}"
            )
    return mm(input.to(int32), mat2.to(int32), out=out)


def _weight_int8pack_mm(input: Tensor, mat2: Tensor, scales: Tensor) -> Tensor:
    """Multiply a matrix by the transpose of an int8 matrix with one scale per row: ``input @ mat2.T * scales``.

    The products are summed in float32. The result has the dtype of ``input``.
    """
    if input.dtype not in (float32, float16, bfloat16):
        raise RuntimeError(f"_weight_int8pack_mm: expect A to be 32-bit or 16-bit float tensor, got {input.dtype}")
    if input.dim() != 2:
        raise RuntimeError(f"_weight_int8pack_mm: expect A to be 2D tensor, got the shape {tuple(input.shape)}")
    if mat2.dtype is not int8:
        raise RuntimeError(f"_weight_int8pack_mm: expect B to be int8 tensor, got {mat2.dtype}")
    if mat2.dim() != 2 or mat2.shape[1] != input.shape[1]:
        raise RuntimeError(
            f"_weight_int8pack_mm: expect B.size(1) == {input.shape[1]}, got the shape {tuple(mat2.shape)}"
        )
    if scales.shape != mat2.shape[:1]:
        raise RuntimeError(
            f"_weight_int8pack_mm: expect scales to be 1d tensor with size {mat2.shape[0]}, got {tuple(scales.shape)}"
        )
    return (mm(input.float(), mat2.float().T) * scales.float()).to(input.dtype)


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
