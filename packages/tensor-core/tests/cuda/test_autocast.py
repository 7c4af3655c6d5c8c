"""Regions of lower precision for tensors on the GPU."""

import flambeau as fb


def test_autocast_computes_matrix_products_in_lower_precision():
    x = fb.randn(4, 4).cuda()
    with fb.autocast("cuda"):
        y = x @ x
        assert y.dtype is fb.float16 and y.softmax(-1).dtype is fb.float32
        assert (x.cpu() @ x.cpu()).dtype is fb.float32  # the region applies only to the GPU
        with fb.autocast("cuda", dtype=fb.bfloat16):
            assert (x @ x).dtype is fb.bfloat16
        with fb.autocast("cuda", enabled=False):
            assert (x @ x).dtype is fb.float32
    with fb.autocast("cpu"):
        assert (x @ x).dtype is fb.float32 and (x.cpu() @ x.cpu()).dtype is fb.bfloat16
    assert (x @ x).dtype is fb.float32
