"""How tensors print. The expected texts are PyTorch's, except for the ``flambeau.`` before a dtype."""

import math

import pytest

import flambeau
from flambeau import set_printoptions

NAMES = {**vars(flambeau), "nan": math.nan, "inf": math.inf}

PLAIN = """
>>> tensor(5)
tensor(5)
>>> tensor(-2.5)
tensor(-2.5000)
>>> tensor(3.0)
tensor(3.)
>>> tensor(True)
tensor(True)
>>> tensor(nan)
tensor(nan)
>>> tensor(1e10)
tensor(1.0000e+10)
>>> tensor([])
tensor([])
>>> tensor([], dtype=int64)
tensor([], dtype=flambeau.int64)
>>> empty(0, 3)
tensor([], size=(0, 3))
>>> empty(2, 0, dtype=bool)
tensor([], size=(2, 0), dtype=flambeau.bool)
>>> tensor([1, -20, 300])
tensor([  1, -20, 300])
>>> tensor([True, False])
tensor([ True, False])
>>> tensor([[1, 2], [3, 40]], dtype=int8)
tensor([[ 1,  2],
        [ 3, 40]], dtype=flambeau.int8)
>>> tensor([200, 0], dtype=uint8)
tensor([200,   0], dtype=flambeau.uint8)
>>> tensor([-7], dtype=int16)
tensor([-7], dtype=flambeau.int16)
>>> tensor([-(2**31)], dtype=int32)
tensor([-2147483648], dtype=flambeau.int32)
>>> tensor([-(2**63), 2**63 - 1])
tensor([-9223372036854775808,  9223372036854775807])
>>> tensor([1.0, 2.0, -3.0])
tensor([ 1.,  2., -3.])
>>> tensor([0.1, 22.25, -3.0])
tensor([ 0.1000, 22.2500, -3.0000])
>>> tensor([0.5, 1.0], dtype=float16)
tensor([0.5000, 1.0000], dtype=flambeau.float16)
>>> tensor([1.1, -2.5], dtype=bfloat16)
tensor([ 1.1016, -2.5000], dtype=flambeau.bfloat16)
>>> tensor([1.1, 1e-3], dtype=float64)
tensor([1.1000e+00, 1.0000e-03], dtype=flambeau.float64)
>>> tensor([0.0, -0.0])
tensor([0., -0.])
>>> tensor([0.0, nan, -inf])
tensor([0., nan, -inf])
>>> tensor([10.0, nan, -inf])
tensor([10., nan, -inf])
>>> tensor([1.5, nan, inf])
tensor([1.5000,    nan,    inf])
>>> tensor([nan, -inf, 1e9])
tensor([       nan,       -inf, 1.0000e+09])
>>> tensor([1.0, 1000.0])
tensor([   1., 1000.])
>>> tensor([1.0, 1001.0])
tensor([1.0000e+00, 1.0010e+03])
>>> tensor([100000000.0])
tensor([100000000.])
>>> tensor([100000008.0])
tensor([1.0000e+08])
>>> tensor([0.000101])
tensor([0.0001])
>>> tensor([0.00009])
tensor([9.0000e-05])
>>> tensor([0.0, -1.4e-45, 3.0])
tensor([ 0.0000e+00, -1.4013e-45,  3.0000e+00])
>>> tensor([5e-324, 1.7e308], dtype=float64)
tensor([4.9407e-324, 1.7000e+308], dtype=flambeau.float64)
>>> arange(24).reshape(2, 3, 4)
tensor([[[ 0,  1,  2,  3],
         [ 4,  5,  6,  7],
         [ 8,  9, 10, 11]],

        [[12, 13, 14, 15],
         [16, 17, 18, 19],
         [20, 21, 22, 23]]])
>>> arange(4).reshape(2, 1, 1, 2)
tensor([[[[0, 1]]],


        [[[2, 3]]]])
>>> arange(30)
tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])
>>> arange(24.0).reshape(2, 12).neg()
tensor([[ -0.,  -1.,  -2.,  -3.,  -4.,  -5.,  -6.,  -7.,  -8.,  -9., -10., -11.],
        [-12., -13., -14., -15., -16., -17., -18., -19., -20., -21., -22., -23.]])
>>> arange(1001)
tensor([   0,    1,    2,  ...,  998,  999, 1000])
>>> arange(1001.0)
tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.])
>>> arange(1200).reshape(2, 600)
tensor([[   0,    1,    2,  ...,  597,  598,  599],
        [ 600,  601,  602,  ..., 1197, 1198, 1199]])
>>> arange(1200).reshape(600, 2)
tensor([[   0,    1],
        [   2,    3],
        [   4,    5],
        ...,
        [1194, 1195],
        [1196, 1197],
        [1198, 1199]])
>>> arange(2744).reshape(14, 14, 14)[:, :7].transpose(0, 2)
tensor([[[   0,  196,  392,  ..., 2156, 2352, 2548],
         [  14,  210,  406,  ..., 2170, 2366, 2562],
         [  28,  224,  420,  ..., 2184, 2380, 2576],
         ...,
         [  56,  252,  448,  ..., 2212, 2408, 2604],
         [  70,  266,  462,  ..., 2226, 2422, 2618],
         [  84,  280,  476,  ..., 2240, 2436, 2632]],

        [[   1,  197,  393,  ..., 2157, 2353, 2549],
         [  15,  211,  407,  ..., 2171, 2367, 2563],
         [  29,  225,  421,  ..., 2185, 2381, 2577],
         ...,
         [  57,  253,  449,  ..., 2213, 2409, 2605],
         [  71,  267,  463,  ..., 2227, 2423, 2619],
         [  85,  281,  477,  ..., 2241, 2437, 2633]],

        [[   2,  198,  394,  ..., 2158, 2354, 2550],
         [  16,  212,  408,  ..., 2172, 2368, 2564],
         [  30,  226,  422,  ..., 2186, 2382, 2578],
         ...,
         [  58,  254,  450,  ..., 2214, 2410, 2606],
         [  72,  268,  464,  ..., 2228, 2424, 2620],
         [  86,  282,  478,  ..., 2242, 2438, 2634]],

        ...,

        [[  11,  207,  403,  ..., 2167, 2363, 2559],
         [  25,  221,  417,  ..., 2181, 2377, 2573],
         [  39,  235,  431,  ..., 2195, 2391, 2587],
         ...,
         [  67,  263,  459,  ..., 2223, 2419, 2615],
         [  81,  277,  473,  ..., 2237, 2433, 2629],
         [  95,  291,  487,  ..., 2251, 2447, 2643]],

        [[  12,  208,  404,  ..., 2168, 2364, 2560],
         [  26,  222,  418,  ..., 2182, 2378, 2574],
         [  40,  236,  432,  ..., 2196, 2392, 2588],
         ...,
         [  68,  264,  460,  ..., 2224, 2420, 2616],
         [  82,  278,  474,  ..., 2238, 2434, 2630],
         [  96,  292,  488,  ..., 2252, 2448, 2644]],

        [[  13,  209,  405,  ..., 2169, 2365, 2561],
         [  27,  223,  419,  ..., 2183, 2379, 2575],
         [  41,  237,  433,  ..., 2197, 2393, 2589],
         ...,
         [  69,  265,  461,  ..., 2225, 2421, 2617],
         [  83,  279,  475,  ..., 2239, 2435, 2631],
         [  97,  293,  489,  ..., 2253, 2449, 2645]]])
>>> zeros(40, 40, dtype=bool)
tensor([[False, False, False,  ..., False, False, False],
        [False, False, False,  ..., False, False, False],
        [False, False, False,  ..., False, False, False],
        ...,
        [False, False, False,  ..., False, False, False],
        [False, False, False,  ..., False, False, False],
        [False, False, False,  ..., False, False, False]])
>>> zeros(1001, dtype=bfloat16)
tensor([0., 0., 0.,  ..., 0., 0., 0.], dtype=flambeau.bfloat16)
"""

WITH_OPTIONS = """
>>> tensor([1.23456, -20.5])  # precision=2
tensor([  1.23, -20.50])
>>> tensor([1.5, 2.5])  # precision=0
tensor([2, 2])
>>> tensor([0.1, 1e6], dtype=float64)  # precision=8
tensor([1.00000000e-01, 1.00000000e+06], dtype=flambeau.float64)
>>> arange(8)  # threshold=5
tensor([0, 1, 2,  ..., 5, 6, 7])
>>> arange(12).reshape(3, 4)  # threshold=5, edgeitems=1
tensor([[ 0,  ...,  3],
        ...,
        [ 8,  ..., 11]])
>>> arange(12).reshape(3, 4)  # threshold=5, edgeitems=0
tensor([...], size=(3, 4))
>>> arange(12)  # linewidth=20
tensor([ 0,  1,  2,
         3,  4,  5,
         6,  7,  8,
         9, 10, 11])
>>> ones(2, dtype=float64)  # linewidth=20
tensor([1., 1.],
       dtype=flambeau.float64)
>>> tensor([1.23456])  # profile="short"
tensor([1.23])
>>> tensor([1.23456])  # profile="short", precision=3
tensor([1.235])
>>> tensor([1.0, -2.0, inf])  # sci_mode=True
tensor([ 1.0000e+00, -2.0000e+00,         inf])
>>> tensor([0.0, nan])  # sci_mode=True
tensor([0., nan])
>>> tensor([0.00001, 1e9])  # sci_mode=False
tensor([         0.0000, 1000000000.0000])
"""

IN_A_GRAPH = """
>>> ones(3, requires_grad=True)
tensor([1., 1., 1.], requires_grad=True)
>>> ones(2, 2, dtype=float64, requires_grad=True)
tensor([[1., 1.],
        [1., 1.]], dtype=flambeau.float64, requires_grad=True)
>>> ones(3, requires_grad=True) + 1
tensor([2., 2., 2.], grad_fn=<AddBackward0>)
>>> ones(3, requires_grad=True).exp().detach()
tensor([2.7183, 2.7183, 2.7183])
>>> arange(9.0).reshape(3, 3).requires_grad_() * 1.5
tensor([[ 0.0000,  1.5000,  3.0000],
        [ 4.5000,  6.0000,  7.5000],
        [ 9.0000, 10.5000, 12.0000]], grad_fn=<MulBackward0>)
>>> tensor(2.0, requires_grad=True).exp()
tensor(7.3891, grad_fn=<ExpBackward0>)
>>> (arange(20.0, dtype=float64).requires_grad_() * 2)
tensor([ 0.,  2.,  4.,  6.,  8., 10., 12., 14., 16., 18., 20., 22., 24., 26.,
        28., 30., 32., 34., 36., 38.], dtype=flambeau.float64,
       grad_fn=<MulBackward0>)
"""


def examples(session):
    """Return pairs of an expression and its printed result from an interactive session."""
    pairs = [block.rstrip("\n").split("\n", 1) for block in session.lstrip("\n").removeprefix(">>> ").split("\n>>> ")]
    return [pytest.param(*pair, id=pair[0]) for pair in pairs]


@pytest.fixture(autouse=True)
def default_options():
    yield
    set_printoptions(profile="default")


@pytest.mark.parametrize(("expression", "expected"), examples(PLAIN))
def test_tensors_are_printed_like_pytorch(expression, expected):
    assert repr(eval(expression, NAMES)) == expected


@pytest.mark.parametrize(("expression", "expected"), examples(WITH_OPTIONS))
def test_print_options_change_the_output(expression, expected):
    expression, options = expression.split("  # ")
    set_printoptions(**eval(f"dict({options})"))
    assert repr(eval(expression, NAMES)) == expected


@pytest.mark.parametrize(("expression", "expected"), examples(IN_A_GRAPH))
def test_tensors_in_a_graph_are_printed_with_grad_fn(expression, expected):
    pytest.importorskip("flambeau.autograd")
    assert repr(eval(expression, NAMES)) == expected


def test_str_of_a_tensor_shows_its_elements():
    assert str(flambeau.arange(3)) == "tensor([0, 1, 2])"


def test_tensors_up_to_the_threshold_are_printed_completely():
    assert "..." not in repr(flambeau.arange(1000))
    assert "..." in repr(flambeau.arange(1001))


def test_the_print_profile_full_shows_all_elements():
    set_printoptions(profile="full")
    assert eval(repr(flambeau.arange(2000)).removeprefix("tensor")) == list(range(2000))


def test_printing_a_huge_tensor_reads_only_the_printed_elements():
    row = "        [0., 0., 0.,  ..., 0., 0., 0.]"
    expected = "tensor([" + ",\n".join([row] * 3 + ["        ..."] + [row] * 3).lstrip() + "], dtype=flambeau.bfloat16)"
    assert repr(flambeau.zeros(1, 1, dtype=flambeau.bfloat16).expand(10**6, 10**6)) == expected


def test_the_default_dtype_is_not_printed():
    default = flambeau.get_default_dtype()
    flambeau.set_default_dtype(flambeau.float64)
    try:
        assert repr(flambeau.ones(1, dtype=flambeau.float64)) == "tensor([1.])"
        assert repr(flambeau.ones(1, dtype=flambeau.float32)) == "tensor([1.], dtype=flambeau.float32)"
    finally:
        flambeau.set_default_dtype(default)


def test_subclass_prints_its_own_name():
    class Celsius(flambeau.Tensor):
        pass

    readings = flambeau.Tensor._make_subclass(Celsius, flambeau.tensor([[20.5], [21.0]]))
    assert repr(readings) == "Celsius([[20.5000],\n         [21.0000]])"


def test_set_printoptions_resets_sci_mode_and_keeps_other_options():
    set_printoptions(precision=2, sci_mode=True)
    assert repr(flambeau.tensor([1.5])) == "tensor([1.50e+00])"
    set_printoptions(edgeitems=2)
    assert repr(flambeau.tensor([1.5])) == "tensor([1.50])"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"profile": "long"}, ValueError, "'default', 'short', 'full', got 'long'"),
        ({"precision": -1}, ValueError, "precision must be at least 0, got -1"),
        ({"threshold": math.nan}, ValueError, "threshold must be at least 0, got nan"),
        ({"linewidth": 80.5}, TypeError, "linewidth must be an int, got 80.5"),
    ],
)
def test_invalid_print_options_change_nothing(options, error, message):
    with pytest.raises(error, match=message):
        set_printoptions(**{"edgeitems": 1, **options})
    assert repr(flambeau.arange(1001)) == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"


def test_format_specifiers_apply_only_to_zero_dimensional_tensors():
    assert (
        f"{flambeau.tensor(3)} {flambeau.tensor(0.5)} {flambeau.tensor(True)} {flambeau.tensor(1 + 2j)}"
        == "3 0.5 True (1+2j)"
    )
    assert f"{flambeau.tensor(0.123):.2f} {flambeau.tensor(7):>3}" == "0.12   7"
    assert f"{flambeau.tensor([1])}" == "tensor([1])"
    with pytest.raises(TypeError, match="format"):
        f"{flambeau.tensor([1]):d}"


def test_a_subclass_can_format_its_elements():
    class Secret(flambeau.Tensor):
        def __repr__(self):
            return super().__repr__(tensor_contents="...")

    x = flambeau.ones(2, 3, dtype=flambeau.float16).as_subclass(Secret)
    assert repr(x) == str(x) == "Secret(..., dtype=flambeau.float16)"
