"""Tests that each replay of a graph draws the numbers that its work would draw without a graph."""

import pytest

import flambeau as fb
from flambeau import cuda
from flambeau.cuda import _arrays


def captured(work, *generators):
    work()  # compiles the kernels
    graph = cuda.CUDAGraph()
    for each in generators:
        graph.register_generator_state(each)
    with cuda.graph(graph):
        out = work()
    return graph, out


def empty(dtype=fb.float32):
    return fb.empty(1100, dtype=dtype, device="cuda")


WORK = {
    "rand": lambda: fb.rand(1100, device="cuda"),
    "randn": lambda: fb.randn(1100, dtype=fb.float64, device="cuda"),
    "randint": lambda: fb.randint(3, 1000, (33, 40), device="cuda"),
    "bernoulli_": lambda: empty(fb.bool).bernoulli_(0.3),
    "exponential_": lambda: empty(fb.float16).exponential_(),
    "dropout": lambda: fb.dropout(fb.ones(1100, device="cuda"), 0.3, True),
    "after temporary tensors": lambda: fb.dropout((fb.ones(9, device="cuda") * 2).exp(), 0.3, True),
    "binomial": lambda: fb.binomial(fb.full((50,), 9.0, device="cuda"), fb.full((50,), 0.4, device="cuda")),
    "gamma": lambda: fb._standard_gamma(fb.full((50,), 2.0, device="cuda")),
    "poisson": lambda: fb.poisson(fb.full((50,), 20.0, device="cuda")),
    "bernoulli": lambda: fb.bernoulli(fb.full((1100,), 0.3, device="cuda")),
    "randperm": lambda: fb.randperm(1100, device="cuda"),
    "multinomial": lambda: fb.ones(3, 500, device="cuda").multinomial(20),
    "multinomial with replacement": lambda: fb.ones(3, 500, device="cuda").multinomial(20, True),
}


@pytest.mark.parametrize("name", WORK)
def test_graph_replays_draw_the_random_numbers_of_eager_calls(name):
    def work():
        return WORK[name](), fb.rand(3, device="cuda"), WORK[name]()

    fb.manual_seed(3)
    expected = [[t.clone() for t in work()] for _ in range(3)]
    after = fb.get_rng_state()
    graph, out = captured(work)
    fb.manual_seed(3)
    for each in expected:
        graph.replay()
        assert all(fb.equal(*pair) for pair in zip(out, each, strict=True))
    assert fb.equal(fb.get_rng_state(), after)
    assert not fb.equal(expected[0][0], expected[0][2]) and not fb.equal(expected[0][0], expected[1][0])


def test_capturing_a_graph_draws_no_random_numbers():
    fb.manual_seed(1)
    fb.rand(1)
    before = fb.get_rng_state()
    with cuda.graph(cuda.CUDAGraph()):
        fb.rand(5, device="cuda")
        assert fb.equal(fb.get_rng_state(), before)
    assert fb.equal(fb.get_rng_state(), before)


def test_graph_replays_and_eager_draws_share_the_random_stream():
    first, x = captured(lambda: fb.rand(5, device="cuda"))
    second, y = captured(lambda: fb.randn(2000, device="cuda") + fb.rand(2000, device="cuda"))

    def of(graph, out, work, replayed):
        if not replayed:
            return work()
        graph.replay()
        return out.clone()

    def drawn(replayed):
        fb.manual_seed(8)
        found = [fb.rand(7, device="cuda")]
        for turn in range(3):
            found.append(of(first, x, lambda: fb.rand(5, device="cuda"), replayed))
            found.append(fb.rand(3).cuda())
            found.append(of(second, y, lambda: fb.randn(2000, device="cuda") + fb.rand(2000, device="cuda"), replayed))
            found.append(of(second, y, lambda: fb.randn(2000, device="cuda") + fb.rand(2000, device="cuda"), replayed))
            if turn == 1:
                fb.manual_seed(9)
        return found

    assert all(fb.equal(*pair) for pair in zip(drawn(True), drawn(False), strict=True))


def test_the_generator_state_can_be_set_between_replays():
    graph, out = captured(lambda: fb.rand(5, device="cuda"))
    graph.replay()
    state = fb.get_rng_state()
    graph.replay()
    once = out.clone()
    graph.replay()
    assert not fb.equal(out, once)
    fb.set_rng_state(state)
    graph.replay()
    assert fb.equal(out, once)


def test_graphs_can_use_a_custom_generator():
    own = fb.Generator().manual_seed(5)

    def work():
        return fb.rand(5, device="cuda", generator=own), fb.rand(5, device="cuda")

    graph, (x, y) = captured(work, own)
    own.manual_seed(6)
    fb.manual_seed(7)
    for _ in range(2):
        graph.replay()
    other = fb.Generator().manual_seed(6)
    for generator, drawn in ((other, x), (fb.manual_seed(7), y)):
        fb.rand(5, generator=generator)
        assert fb.equal(fb.rand(5, generator=generator), drawn.cpu())
    assert own.get_offset() == other.get_offset()
    with pytest.raises(RuntimeError, match="register_generator_state"):
        captured(work)


@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_setting_a_generator_during_capture_raises(when):
    fb.rand(5, device="cuda")
    state = fb.get_rng_state()

    def work():
        if when == "before":
            fb.manual_seed(1)
        fb.rand(5, device="cuda")
        if when != "before":
            fb.set_rng_state(state)
        if when == "between":
            fb.rand(5, device="cuda")

    with pytest.raises(RuntimeError, match="during the capture of a CUDA graph that uses it"):
        captured(work)
    with cuda.graph(cuda.CUDAGraph()):  # a graph without random numbers
        fb.manual_seed(1)


def test_host_operators_cannot_be_captured(monkeypatch):
    monkeypatch.setattr(_arrays, "library", lambda: None)
    x = fb.eye(3, device="cuda")
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        captured(lambda: fb.linalg.svdvals(x))


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (fb.bernoulli, "bernoulli: Expected p_in >= 0"),
        (fb.poisson, "poisson: invalid Poisson rate, .* got -1"),
        (lambda x: fb.multinomial(x, 2), "multinomial: probability tensor .* row 0 has -1 at 3"),
    ],
)
def test_a_graph_replay_reports_invalid_arguments(function, text):
    x = fb.full((9,), 0.5, device="cuda")
    graph, out = captured(lambda: function(x))
    for wrong in (False, True, False, True):
        x[3] = -1.0 if wrong else 0.5
        graph.replay()
        if wrong:
            with pytest.raises(RuntimeError, match=text):
                out.tolist()
        else:
            assert len(out.tolist()) == len(out)


def test_streams_that_join_a_capture_draw_random_numbers():
    other = cuda.Stream()

    def work():
        x = fb.rand(5, device="cuda")
        other.wait_stream(cuda.current_stream())
        with cuda.stream(other):
            y = fb.rand(5, device="cuda")
        cuda.current_stream().wait_stream(other)
        return x, y

    graph, out = captured(work)
    fb.manual_seed(2)
    expected = [fb.rand(5) for _ in range(4)]
    fb.manual_seed(2)
    for each in (expected[:2], expected[2:]):
        graph.replay()
        assert [t.tolist() for t in out] == [t.tolist() for t in each]


def test_two_simultaneous_captures_draw_random_numbers():
    fb.rand(5, device="cuda")
    graphs, streams = [cuda.CUDAGraph(), cuda.CUDAGraph()], [cuda.Stream(), cuda.Stream()]
    drawn = []
    for graph, stream in zip(graphs, streams, strict=True):
        with cuda.stream(stream):
            graph.capture_begin()
    for turn in (0, 1, 1):
        with cuda.stream(streams[turn]):
            drawn.append(fb.rand(5, device="cuda"))
    for graph, stream in zip(graphs, streams, strict=True):
        with cuda.stream(stream):
            graph.capture_end()
    fb.manual_seed(2)
    expected = [fb.rand(5) for _ in range(3)]
    fb.manual_seed(2)
    for graph in graphs:
        graph.replay()
    assert [t.tolist() for t in drawn] == [t.tolist() for t in expected]


def test_replaying_a_graph_during_capture_raises():
    graph, _ = captured(lambda: fb.rand(5, device="cuda"))
    with pytest.raises(RuntimeError, match="during the capture of another"), cuda.graph(cuda.CUDAGraph()):
        graph.replay()
