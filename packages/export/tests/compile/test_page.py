"""The page of `flambeau.compiler.explain`: measured replays, memory, boundaries between kernels, and valid HTML."""

import re
from html.parser import HTMLParser

import pytest

import flambeau as fb
from flambeau import _core, nn
from flambeau._compile import _profile
from flambeau._compile._function import Programs

VOID = {"meta", "link", "br", "img", "input", "hr", "line", "rect"}


class Page(HTMLParser):
    """Parser that checks that tags are balanced, and collects attributes and text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))


def activated(x, weight):
    y = (x @ weight).relu() * 2
    return y.sum(1), y.flatten()


def profile_of(function, *args):
    programs = Programs(function, True, "f")
    programs(*args)
    (program,) = programs.captured
    (profile,) = _profile.measured(program, list(args))
    return profile


def names(profile):
    return ["+".join(operator.name for operator in kernel.operators) for kernel in profile.kernels]


def boundaries(profile):
    return {(before.name, after.name): reason for before, after, reason in profile.boundaries}


def test_the_explain_page_shows_lines_operators_and_kernels(tmp_path):
    explanation = fb.compiler.explain(activated)(fb.randn(20, 30), fb.randn(30, 10))
    explanation.save(tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.tags.count("h1") == 1 and page.tags.count("svg") == 1 and "title" in page.tags
    assert "activated" in page.text and "y = (x @ weight).relu() * 2" in page.text
    assert ("details", "id", "kernel-2") in page.attributes and "relu" in page.text
    assert "20\N{MULTIPLICATION SIGN}10 float32" in page.text and "matmul has no fused kernel" in page.text
    assert re.search(r"one by one the operators take [\d.]+ .s and move 4.08 kB", page.text)


def test_the_explain_page_needs_no_network():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    html = fb.compiler.explain(model)(fb.randn(1, 3, 8, 8)).to_html()
    page = Page(html)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not [a for a in page.attributes if a[1] in ("src", "href", "srcset", "xlink:href")]
    assert "//" not in html and "url(" not in html and "@import" not in html


def test_the_explain_page_is_accessible():
    page = Page(fb.compiler.explain(activated)(fb.randn(4, 3), fb.randn(3, 2)).to_html())
    attributes = {(tag, name) for tag, name, _ in page.attributes}
    assert {("html", "lang"), ("svg", "role"), ("svg", "aria-label"), ("th", "scope")} <= attributes
    assert ("meta", "name", "viewport") in page.attributes
    assert "caption" in page.tags and next(tag for tag in page.tags if tag in ("h1", "h2")) == "h1"


def test_source_text_on_the_explain_page_is_escaped():
    page = Page(fb.compiler.explain(lambda x: (x > 1) & (x < 2))(fb.randn(3)).to_html())
    assert "<lambda>" in page.text and "lambda" not in page.tags and "x < 2" in page.text


def test_the_page_shows_reasons_for_uncompiled_calls():
    def f(x):
        settings["steps"] = settings.get("steps", 0) + 1
        return x + 1

    settings = {}
    page = Page(fb.compiler.explain(f)(fb.ones(2)).to_html())
    assert "Why calls run uncompiled" in page.text and "changes a Python object" in page.text


def test_the_page_shows_segments_without_running_python_calls_again(capsys):
    def f(x):
        y = x.exp() * 2
        if y.sum() > 0:
            y = (y + 1).tanh()
        print("half way")
        return y.sinh()

    explanation = fb.compiler.explain(f)(fb.ones(3))
    assert capsys.readouterr().out == "half way\n"
    page = Page(explanation.to_html())
    assert capsys.readouterr().out == ""
    assert "Program 1 of 2" in page.text and "Program 2 of 2" in page.text
    assert "tanh" in page.text and "sinh" not in page.text.partition("What is compared")[0].replace("y.sinh()", "")
    assert "Why calls run uncompiled" not in page.text and "Where Python divides the programs" in page.text


def test_the_page_shows_shapes_bytes_and_times_of_kernels():
    profile = profile_of(activated, fb.randn(20, 30), fb.randn(30, 10))
    assert names(profile)[:2] == ["matmul", "relu+mul+sum"]
    product, fused = profile.kernels[:2]
    assert [operator.results[0].shape for operator in fused.operators] == [(20, 10), (20, 10), (20,)]
    assert product.moved == 4 * (20 * 30 + 30 * 10 + 20 * 10)
    assert fused.moved == 4 * 420 and sum(operator.moved for operator in fused.operators) == 4 * (4 * 200 + 220)
    assert profile.kernels[2].kind == "view" and profile.kernels[2].moved == 0
    assert all(0 < kernel.seconds < 1 for kernel in profile.kernels)
    assert product.operators[0].line.startswith("test_page.py:")


def test_reported_memory_counts_only_live_values():
    def f(x):
        a = x @ x
        b = a @ x  # here a and b are alive
        c = b @ a
        return c @ x

    profile = profile_of(f, fb.randn(16, 16))
    size = 16 * 16 * 4
    assert [(block.kernel, block.end) for block in profile.blocks] == [(0, 2), (1, 2), (2, 3), (3, 3)]
    assert profile.peak == 3 * size
    for one in profile.blocks:
        for other in profile.blocks:
            if one is not other and one.kernel <= other.end and other.kernel <= one.end:
                assert one.offset + size <= other.offset or other.offset + size <= one.offset


def test_views_allocate_no_memory_blocks():
    profile = profile_of(lambda x: ((x @ x).reshape(2, -1) + 1).exp().reshape(-1), fb.randn(8, 8))
    assert names(profile) == ["matmul", "reshape", "add+exp", "reshape"]
    assert len(profile.blocks) == 2 and profile.peak == 2 * 8 * 8 * 4


@pytest.mark.parametrize(
    ("function", "pair", "reason"),
    [
        (lambda x: (x @ x).relu(), ("matmul", "relu"), "matmul has no fused kernel"),
        (lambda x: x.relu().cumsum(0), ("relu", "cumsum"), "cumsum has no fused kernel"),
        (lambda x: fb.add(x.exp(), x, alpha=2), ("exp", "add"), "add has no fused kernel for these arguments"),
    ],
)
def test_the_profile_page_explains_why_adjacent_operators_are_not_fused(function, pair, reason):
    assert boundaries(profile_of(function, fb.randn(4, 4)))[pair] == reason


def test_reading_an_intermediate_value_ends_a_fused_group():
    def f(x):
        y = x.exp()
        return (y @ x) * y

    assert boundaries(profile_of(f, fb.randn(4, 4)))["exp", "mul"] == "another operator reads the result of exp first"


def test_an_in_place_operator_ends_a_fused_group():
    def f(x, y):
        a = x.exp()
        y[0] = 1.0
        return a + 1

    assert "in place" in boundaries(profile_of(f, fb.randn(4, 4), fb.randn(4, 4)))["exp", "add"]


def test_fused_kernels_have_a_maximum_number_of_operators():
    def f(x):
        for _ in range(60):
            x = x + 1
        return x

    profile = profile_of(f, fb.randn(4))
    assert max(len(kernel.operators) for kernel in profile.kernels) == 48
    assert boundaries(profile) == {("add", "add"): "a kernel has at most 48 operators"}


def test_fused_operators_have_no_boundary():
    assert boundaries(profile_of(lambda x, y: ((x + y).exp() * x.tanh() - y) / 2, fb.randn(4), fb.randn(4))) == {}


def test_measuring_changes_neither_tensors_nor_random_numbers():
    layer = nn.BatchNorm1d(3)
    x = fb.randn(5, 3)

    def f(x):
        x.add_(1)
        return nn.functional.dropout(layer(x), 0.5)

    explanation = fb.compiler.explain(f)(x)
    before = x.clone(), layer.running_mean.clone(), fb.get_rng_state()
    Page(explanation.to_html())
    assert fb.equal(x, before[0]) and fb.equal(layer.running_mean, before[1])
    assert fb.equal(fb.get_rng_state(), before[2])


def test_the_page_marks_groups_that_run_unfused():
    def f(x):
        return (x * 2).tanh()

    assert "The operators ran one by one" in fb.compiler.explain(f)(fb.randn(4).half()).to_html()
    assert "The operators ran one by one" not in fb.compiler.explain(f)(fb.randn(4)).to_html()


def test_measurements_use_the_grad_mode_of_the_call():
    weight = nn.Parameter(fb.randn(2000))

    def f(x):
        return (x * weight).tanh()

    with fb.no_grad():
        explanation = fb.compiler.explain(f)(fb.randn(2000))
    assert "The operators ran one by one" not in explanation.to_html()


def test_native_functions_check_their_arguments():
    program = _core._parse_program("input %0 x\n%1 = exp(%0)\nreturn %1\n")
    x = fb.randn(2)
    ((calls, as_one, nanoseconds, reads, writes, released),) = _core._profile_program(program, (x,), ())
    assert (calls, as_one, released) == ([0], True, [0]) and nanoseconds > 0
    assert reads[0][:3] == (0, (2,), fb.float32) and writes[0][:3] == (1, (2,), fb.float32)
    for arguments in ((program, (), ()), (program, [x], ()), (program, (1,), ()), (program, (x,), (x,)), (x, (x,), ())):
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            _core._profile_program(*arguments)
    with pytest.raises((TypeError, ValueError)):
        _core._program_boundaries(x)
