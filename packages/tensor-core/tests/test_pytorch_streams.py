"""PyTorch's random numbers on the CPU.

References: the published outputs of MT19937, NumPy's MT19937, and values of PyTorch 2.13.0 (CPU, x86-64) for a seed.
"""

import copy
import pickle
import threading

import numpy as np
import pytest

import flambeau as fb


@pytest.fixture(autouse=True)
def pytorch_streams():
    fb.random.use_pytorch_streams()
    yield
    fb.random.use_pytorch_streams(False)


def words(seed, count):
    """Return the first words of NumPy's MT19937 generator."""
    return np.random.RandomState(seed).randint(0, 2**32, count, dtype=np.uint32)


def wide_words(seed, count):
    pairs = words(seed, 2 * count).astype(np.uint64)
    return pairs[::2] << np.uint64(32) | pairs[1::2]


def uniform53(seed, count):
    return (wide_words(seed, count) & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53


# --- the generator ---


def test_random_words_equal_the_published_mt19937_sequence():
    # The first words are from Matsumoto and Nishimura's mt19937ar.out, the 10000th from the C++ standard.
    drawn = fb.empty(5000, dtype=fb.int64).random_(-(2**63), None, generator=fb.Generator().manual_seed(5489)).numpy()
    halves = drawn.view(np.uint64)
    assert halves[0] >> np.uint64(32) == 3499211612 and halves[0] & np.uint64(0xFFFFFFFF) == 581869302
    assert halves[-1] & np.uint64(0xFFFFFFFF) == 4123659995


def test_seeds_wrap_to_64_bits_and_use_the_lower_32():
    g = fb.Generator().manual_seed(-1)
    assert g.initial_seed() == 2**64 - 1
    np.testing.assert_array_equal(fb.rand(2, generator=g).numpy(), np.float32([0.9937993884086609, 0.5713063478469849]))
    twins = [fb.Generator().manual_seed(seed) for seed in (5, 2**32 + 5)]
    assert fb.equal(*(fb.rand(9, generator=g) for g in twins))


def test_generator_states_have_the_layout_of_pytorch():
    fb.manual_seed(42)
    state = fb.get_rng_state()
    assert state.dtype is fb.uint8 and state.shape == (5056,)
    seed, left_seeded, position = np.frombuffer(state.numpy().tobytes()[:24], np.uint64)
    assert (seed, left_seeded, position) == (42, 1 | 1 << 32, 0)
    fb.rand(3), fb.randn(1)
    fields = np.frombuffer(fb.get_rng_state().numpy().tobytes(), np.uint64)
    assert fields[2] == 3 + 4 and fields[1] & 0xFFFFFFFF == 625 - 7
    assert fields[630] & 0xFFFFFFFF == 1  # a second normal number is kept ...
    assert fields[628:629].view(np.float64)[0] == fb.randn(1, dtype=fb.float64).item()  # ... for the next call


@pytest.mark.parametrize("count", [0, 1, 623, 624, 625, 2000])
def test_a_restored_state_continues_with_the_same_numbers(count):
    g = fb.Generator().manual_seed(3)
    fb.rand(count, generator=g), fb.randn(3, generator=g)
    state, twin, third = g.get_state(), g.clone_state(), pickle.loads(pickle.dumps(g))
    expected = fb.cat([fb.randn(2, generator=g), fb.rand(1300, generator=g)])
    for other in (fb.Generator().set_state(state), twin, third, copy.deepcopy(fb.Generator().set_state(state))):
        assert other.algorithm == "mt19937" and other.initial_seed() == 3
        assert fb.equal(fb.cat([fb.randn(2, generator=other), fb.rand(1300, generator=other)]), expected)


def test_invalid_generator_states_are_rejected():
    g = fb.Generator().manual_seed(1)
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        g.set_state(fb.zeros(5056, dtype=fb.uint8))
    broken = g.get_state()
    broken[16] = 7  # the position now contradicts the number of words left
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        g.set_state(broken)
    with pytest.raises(RuntimeError, match="RNG state is wrong size"):
        g.set_state(fb.zeros(5055, dtype=fb.uint8))
    with pytest.raises(RuntimeError, match="does not use offset"):
        g.get_offset()
    with pytest.raises(RuntimeError, match="does not use offset"):
        g.set_offset(0)
    assert fb.rand(1, generator=g).item() == np.float32(words(1, 1)[0] % 2**24 * 2.0**-24)


def test_a_generator_state_records_its_algorithm():
    streamed = fb.Generator().manual_seed(1).get_state()
    fb.random.use_pytorch_streams(False)
    g = fb.Generator().manual_seed(1)
    counted, first = g.get_state(), fb.rand(4, generator=g)
    assert g.algorithm == "philox" and counted.shape == (16,)
    g.set_state(streamed)
    assert g.algorithm == "mt19937" and not fb.equal(fb.rand(4, generator=g), first)
    g.set_state(counted)
    assert g.algorithm == "philox" and fb.equal(fb.rand(4, generator=g), first)


def test_the_random_algorithm_changes_only_on_request():
    fb.random.use_pytorch_streams(False)
    fb.manual_seed(9)
    own = fb.rand(5)
    fb.manual_seed(9)
    fb.random.use_pytorch_streams(False)
    assert fb.equal(fb.rand(5), own)
    fb.random.use_pytorch_streams()
    assert fb.default_generator.algorithm == "mt19937" and fb.initial_seed() == 9
    first = fb.rand(5)
    fb.random.use_pytorch_streams()  # no change, so the stream continues
    assert not fb.equal(fb.rand(5), first)
    fb.random.use_pytorch_streams(False)
    assert fb.default_generator.algorithm == "philox" and fb.equal(fb.rand(5), own)
    with pytest.raises(TypeError, match="enabled must be a bool"):
        fb.random.use_pytorch_streams(1)


def test_fork_rng_restores_the_state():
    fb.manual_seed(0)
    with fb.random.fork_rng():
        fb.manual_seed(5)
        fb.randn(1)
    assert fb.rand(1).item() == np.float32(0.49625658988952637)


def test_random_numbers_do_not_depend_on_the_number_of_threads():
    draws = {
        "uniform_": (),
        "normal_": (),
        "exponential_": (),
        "cauchy_": (),
        "log_normal_": (),
        "bernoulli_": (0.3,),
        "geometric_": (0.2,),
    }
    before, results = fb.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            fb.set_num_threads(threads)
            fb.manual_seed(4)
            drawn = [getattr(fb.empty(100_003), name)(*numbers) for name, numbers in draws.items()]
            results.append([*drawn, fb.dropout(fb.ones(100_003), 0.4, True), fb.randperm(100_003)])
    finally:
        fb.set_num_threads(before)
    for other in results[1:]:
        assert all(fb.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_threads_that_share_a_generator_draw_every_number_once():
    g, drawn = fb.Generator().manual_seed(6), []

    def draw():
        for _ in range(20):
            drawn.append(fb.rand(700, generator=g))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = fb.rand(4 * 20 * 700, generator=fb.Generator().manual_seed(6)).sort()[0]
    assert fb.equal(fb.cat(drawn).sort()[0], expected)


# --- fills, against NumPy's words ---


def test_uniform_numbers_are_the_lower_bits_of_words():
    fb.manual_seed(11)
    expected = (words(11, 5000) & np.uint32(2**24 - 1)).astype(np.float32) * np.float32(2.0**-24)
    np.testing.assert_array_equal(fb.rand(5000).numpy(), expected)
    fb.manual_seed(11)
    np.testing.assert_array_equal(fb.rand(5000, dtype=fb.float64).numpy(), uniform53(11, 5000))


def test_uniform_numbers_of_half_precision_equal_pytorchs():
    fb.manual_seed(0)
    halves = [0.496337890625, 0.76806640625, 0.0885009765625, 0.132080078125, 0.307373046875]
    assert fb.rand(5, dtype=fb.float16).tolist() == halves
    fb.manual_seed(0)
    assert fb.rand(5, dtype=fb.bfloat16).tolist() == [0.49609375, 0.76953125, 0.08837890625, 0.1318359375, 0.306640625]


def test_bernoulli_uses_53_bits_for_numbers_and_24_for_tensors():
    fb.manual_seed(12)
    np.testing.assert_array_equal(fb.empty(3000).bernoulli_(0.3).numpy(), uniform53(12, 3000) < 0.3)
    for dtype in (fb.bool, fb.uint8, fb.int64, fb.float64):
        fb.manual_seed(12)
        np.testing.assert_array_equal(fb.empty(99, dtype=dtype).bernoulli_(0.3).numpy(), uniform53(12, 99) < 0.3)
    fb.manual_seed(12)
    single = (words(12, 3000) & np.uint32(2**24 - 1)) * 2.0**-24
    np.testing.assert_array_equal(fb.bernoulli(fb.full((3000,), 0.3)).numpy(), single < np.float32(0.3))
    fb.manual_seed(12)
    double = fb.bernoulli(fb.full((3000,), 0.3, dtype=fb.float64))
    np.testing.assert_array_equal(double.numpy(), uniform53(12, 3000) < 0.3)


def test_bernoulli_with_probability_zero_or_one_is_certain():
    assert fb.empty(1000).bernoulli_(1).all() and not fb.empty(1000).bernoulli_(0).any()


def test_random_integers_are_remainders_of_words():
    fb.manual_seed(13)
    np.testing.assert_array_equal(fb.randint(-5, 1000, (3000,)).numpy(), words(13, 3000).astype(np.int64) % 1005 - 5)
    fb.manual_seed(13)
    np.testing.assert_array_equal(fb.randint(2**28, (3000,)).numpy(), wide_words(13, 3000) % np.uint64(2**28))
    for dtype, range_ in ((fb.uint8, 2**8), (fb.int8, 2**7), (fb.int32, 2**31), (fb.float32, 2**24 + 1), (fb.bool, 2)):
        fb.manual_seed(13)
        np.testing.assert_array_equal(fb.empty(3000, dtype=dtype).random_().numpy(), words(13, 3000) % range_)
    fb.manual_seed(13)
    drawn = fb.empty(3000, dtype=fb.int64).random_().numpy()
    np.testing.assert_array_equal(drawn, wide_words(13, 3000) % np.uint64(2**63))


def test_permutations_use_the_fisher_yates_shuffle():
    fb.manual_seed(14)
    order, drawn = np.arange(1000), words(14, 999)
    for i in range(999):
        j = i + int(drawn[i]) % (1000 - i)
        order[[i, j]] = order[[j, i]]
    np.testing.assert_array_equal(fb.randperm(1000).numpy(), order)


def test_exponential_cauchy_and_geometric_use_one_uniform_number_per_element():
    u = uniform53(15, 500)
    formulas = {
        "exponential_": ((1.5,), -np.log1p(-u) / 1.5),
        "cauchy_": ((0.5, 2.0), 0.5 + 2 * np.tan(np.pi * (u - 0.5))),
        "geometric_": ((0.3,), np.ceil(np.log(u) / np.log1p(-0.3))),
    }
    for name, (numbers, expected) in formulas.items():
        fb.manual_seed(15)
        drawn = getattr(fb.empty(500, dtype=fb.float64), name)(*numbers)
        np.testing.assert_allclose(drawn.numpy(), expected, rtol=1e-14)


def test_normal_numbers_come_in_pairs_below_16_elements():
    u = uniform53(16, 14)
    radius, angle = np.sqrt(-2 * np.log1p(-u[1::2])), 2 * np.pi * u[::2]
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()
    fb.manual_seed(16)
    parts = [fb.randn(n, dtype=fb.float64) for n in (1, 3, 5, 5)]  # the second of a pair is kept for the next call
    np.testing.assert_allclose(fb.cat(parts).numpy(), expected, rtol=1e-14)
    fb.manual_seed(16)
    columns = fb.empty(7, 2, dtype=fb.float64).t().normal_()
    np.testing.assert_allclose(columns.t().numpy().ravel(), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
@pytest.mark.parametrize("size", [16, 17, 31, 32, 1000])
def test_normal_numbers_come_in_blocks_from_16_elements_on(size, dtype):
    draws = size + 16
    u = uniform53(17, draws) if dtype is fb.float64 else (words(17, draws) & np.uint32(2**24 - 1)) * 2.0**-24
    expected = np.empty(size)

    def block(numbers):
        radius, angle = np.sqrt(-2 * np.log(1 - numbers[:8])), 2 * np.pi * numbers[8:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])

    for first in range(0, size - 15, 16):
        expected[first : first + 16] = block(u[first : first + 16])
    if size % 16:
        expected[-16:] = block(u[size : size + 16])
    fb.manual_seed(17)
    drawn = fb.randn(size, dtype=dtype).numpy()
    np.testing.assert_allclose(drawn, expected, **({"rtol": 1e-13} if dtype is fb.float64 else {"atol": 5e-6}))


# --- values of PyTorch 2.13.0 after torch.manual_seed(0) ---

PYTORCH = {
    "rand": (
        lambda: fb.rand(5),
        [0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688, 0.30742281675338745],
    ),
    "randn of 3": (lambda: fb.randn(3), [1.5409960746765137, -0.293428897857666, -2.1787893772125244]),
    "randn of 20": (
        lambda: fb.randn(20)[[0, 1, 3, 4, 8, 15, 16, 19]],
        [
            -1.1258398294448853,
            -1.152360200881958,
            -0.4338788092136383,
            0.5988394618034363,
            0.46809640526771545,
            -0.843676745891571,
            0.9318265914916992,
            0.05373690277338028,
        ],
    ),
    "randn of 17 in float64": (
        lambda: fb.randn(17, dtype=fb.float64)[-3:],
        [-0.4484158047114511, -0.8910030351707375, 0.6748575435940039],
    ),
    "randn of 20 in float16": (
        lambda: fb.randn(20, dtype=fb.float16)[-5:],
        [0.1834716796875, 1.3896484375, 1.5859375, 0.9462890625, -0.84375],
    ),
    "randperm": (lambda: fb.randperm(10), [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]),
    "randint": (lambda: fb.randint(0, 100, (8,)), [44, 39, 33, 60, 63, 79, 27, 3]),
    "randint of a wide range": (lambda: fb.randint(0, 2**40, (3,)), [741280623151, 506137267392, 291447657211]),
    "bernoulli_ of a number": (lambda: fb.empty(12).bernoulli_(0.3), [0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1]),
    "bernoulli of a tensor": (lambda: fb.bernoulli(fb.full((12,), 0.3)), [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    "dropout": (lambda: fb.dropout(fb.ones(8), 0.25, True) * 0.75, [0, 1, 1, 0, 1, 0, 1, 1]),
    "dropout of columns": (
        lambda: fb.dropout(fb.ones(2, 6).t(), 0.5, True),
        [[0, 2], [0, 2], [2, 0], [0, 2], [0, 2], [0, 2]],
    ),
    "uniform_ of columns": (
        lambda: fb.empty(2, 3).t().uniform_(),
        [
            [0.49625658988952637, 0.13203048706054688],
            [0.7682217955589294, 0.30742281675338745],
            [0.08847743272781372, 0.6340786814689636],
        ],
    ),
    "multinomial": (lambda: fb.multinomial(fb.tensor([1.0, 2, 3, 4]), 3), [2, 1, 3]),
    "multinomial with replacement": (
        lambda: [fb.multinomial(fb.tensor([1.0, 2, 3, 4]), 3), fb.multinomial(fb.tensor([1.0, 2, 3, 4]), 6, True)][1],
        [3, 3, 1, 2, 2, 1],
    ),
    "exponential_": (
        lambda: fb.empty(4).exponential_(1.5),
        [2.338884115219116, 0.8202565312385559, 0.4100293815135956, 1.6900790929794312],
    ),
    "geometric_": (lambda: fb.empty(8).geometric_(0.3), [1, 1, 3, 1, 2, 1, 5, 3]),
    "cauchy_": (
        lambda: fb.empty(4).cauchy_(0.5, 2),
        [21.695459365844727, 2.0295345783233643, 0.24340131878852844, 8.3661470413208],
    ),
    "log_normal_": (
        lambda: fb.empty(4).log_normal_(0.1, 0.5),
        [2.3880999088287354, 0.9543598890304565, 0.3718016743659973, 1.4684621095657349],
    ),
    "poisson": (lambda: fb.poisson(fb.tensor([0.5, 3, 9, 10, 40, 100])), [2, 4, 9, 7, 31, 91]),
    "binomial": (lambda: fb.binomial(fb.tensor([5.0, 20, 100, 100]), fb.tensor([0.5, 0.1, 0.3, 0.9])), [4, 2, 31, 90]),
    "_standard_gamma": (
        lambda: fb._standard_gamma(fb.tensor([0.1, 0.5, 1, 5, 20])),
        [3.1292356392933324e-16, 0.04415091872215271, 1.05320405960083, 6.72119665145874, 17.137643814086914],
    ),
    "_sample_dirichlet": (
        lambda: fb._sample_dirichlet(fb.tensor([0.5, 1, 2])),
        [0.00039424869464710355, 0.05942697823047638, 0.9401787519454956],
    ),
    "normal of tensors": (
        lambda: fb.normal(fb.arange(4.0), fb.arange(1.0, 5)),
        [1.5409960746765137, 0.41314220428466797, -4.536368370056152, 5.2737250328063965],
    ),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_random_values_equal_recorded_values_of_pytorch(name):
    draw, expected = PYTORCH[name]
    fb.manual_seed(0)
    np.testing.assert_allclose(draw().numpy(), np.array(expected), rtol=2e-7)


def test_gradient_of_dropout_is_the_scaled_mask():
    fb.manual_seed(3)
    x = fb.arange(1.0, 13.0).reshape(3, 4)
    for given in (x, x.t()):
        dropped = fb.dropout(given, 0.5, True)
        np.testing.assert_array_equal(dropped.numpy(), np.where(dropped.numpy() == 0, 0, 2 * given.numpy()))
        assert 0 < (dropped == 0).sum() < 12


def test_meta_tensors_draw_no_random_numbers():
    fb.manual_seed(0)
    fb.empty(5, device="meta").uniform_()
    assert fb.rand(1).item() == np.float32(0.49625658988952637)
