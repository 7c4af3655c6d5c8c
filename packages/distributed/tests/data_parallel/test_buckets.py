"""Test the assignment of gradients to buckets."""

import flambeau as fb
from flambeau.distributed.data_parallel._buckets import in_buckets


def _bucket_indices(parameters, caps):
    number_of = {id(each): number for number, each in enumerate(parameters)}
    return [[number_of[id(each)] for each in bucket.parameters] for bucket in in_buckets(parameters, caps)]


def test_buckets_are_filled_in_reverse_order_up_to_their_caps():
    parameters = [fb.zeros(4) for _ in range(8)]  # 16 bytes each
    assert _bucket_indices(parameters, [16]) == [[7], [6], [5], [4], [3], [2], [1], [0]]
    assert _bucket_indices(parameters, [16, 40]) == [[7], [6, 5, 4], [3, 2, 1], [0]]
    assert _bucket_indices(parameters, [17, 1, 1000]) == [[7, 6], [5], [4, 3, 2, 1, 0]]


def test_each_dtype_has_separate_buckets():
    parameters = [fb.zeros(4, dtype=dtype) for dtype in (fb.float64, fb.float32, fb.float64, fb.float32, fb.float32)]
    assert _bucket_indices(parameters, [32]) == [[4, 3], [2], [1], [0]]
    assert _bucket_indices(parameters, [1000]) == [[4, 3, 1], [2, 0]]


def test_is_last_is_true_only_for_the_last_bucket():
    buckets = in_buckets([fb.zeros(4) for _ in range(3)], [1])
    assert [(bucket.index, bucket.is_last) for bucket in buckets] == [(0, False), (1, False), (2, True)]


def test_many_small_parameters_are_divided_quickly():
    assert len(in_buckets([fb.zeros(1)] * 20_000, [2**20])) == 1
