"""`Module`: registration, traversal of the tree, modes, conversion, repr."""

import copy
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn


class Block(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width, bias=False)
        self.scale = nn.Parameter(fb.ones(width))
        self.register_buffer("offset", fb.zeros(width))
        self.register_buffer("cache", fb.zeros(1), persistent=False)

    def forward(self, input):
        return self.fc2(self.fc1(input)) * self.scale + self.offset


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(Block(), nn.ReLU(), Block())
        self.head = nn.Linear(2, 1)

    def forward(self, input):
        return self.head(self.encoder(input))


# Registration


def test_modules_have_plain_and_registered_attributes():
    block = Block()
    assert vars(block)["scale"] is block._parameters["scale"] is block.scale
    assert vars(block)["offset"] is block._buffers["offset"]
    assert vars(block)["fc1"] is block._modules["fc1"]
    assert not hasattr(nn.Module, "__getattr__")


def test_modules_list_parameters_buffers_and_children_by_name():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == ["scale", "fc1.weight", "fc1.bias", "fc2.weight"]
    assert [name for name, _ in block.named_parameters("at", recurse=False)] == ["at.scale"]
    assert [name for name, _ in block.named_buffers()] == ["offset", "cache"]
    assert [name for name, _ in block.named_children()] == ["fc1", "fc2"]
    assert [name for name, _ in block.named_modules()] == ["", "fc1", "fc2"]
    assert [name for name, _ in block.named_modules(prefix="top")] == ["top", "top.fc1", "top.fc2"]
    assert [tuple(each.shape) for each in block.parameters()] == [(2,), (2, 2), (2,), (2, 2)]
    assert list(block.children()) == [block.fc1, block.fc2]
    assert list(block.modules()) == [block, block.fc1, block.fc2]
    assert len(list(block.buffers())) == 2


def test_shared_members_are_listed_once():
    model = nn.Module()
    model.a = model.b = nn.Linear(1, 1)
    model.weight = model.a.weight
    assert [name for name, _ in model.named_parameters()] == ["weight", "a.bias"]
    assert [name for name, _ in model.named_modules()] == ["", "a"]
    assert [name for name, _ in model.named_children()] == ["a"]
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert names == ["weight", "a.weight", "a.bias", "b.weight", "b.bias"]


def test_a_wrapper_can_forward_attribute_lookups():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.wrapped = module

        def __getattr__(self, name):
            return getattr(self.wrapped, name)

    wrapper = Wrapper(nn.Linear(2, 3))
    assert wrapper.out_features == 3 and list(wrapper.state_dict()) == ["wrapped.weight", "wrapped.bias"]


def test_assigning_none_keeps_a_parameter_registered():
    layer = nn.Linear(2, 2)
    layer.bias = None
    assert layer._parameters == {"weight": layer.weight, "bias": None}
    layer.bias = nn.Parameter(fb.zeros(2))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_assigning_another_type_changes_the_registry():
    module = nn.Module()
    module.member = 3
    module.member = nn.ReLU()
    assert list(module._modules) == ["member"]
    module.member = nn.Parameter(fb.zeros(1))
    assert list(module._parameters) == ["member"]
    assert not module._modules
    del module.member
    module.member = nn.Buffer(fb.zeros(1))
    module.member = nn.ReLU()
    assert list(module._modules) == ["member"]
    assert not module._buffers
    del module.member
    module.member = nn.Buffer(fb.zeros(1), persistent=False)
    assert list(module._buffers) == ["member"]
    assert not module.state_dict()
    module.member = fb.ones(1)
    assert module.get_buffer("member") is module.member
    del module.member
    assert not module._buffers
    assert not hasattr(module, "member")
    module.member = "plain"
    assert module.member == "plain"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda m: setattr(m, "scale", fb.ones(2)), TypeError, "'Tensor' object as parameter 'scale' of Block"),
        (lambda m: setattr(m, "offset", 3), TypeError, "'int' object as buffer 'offset' of Block"),
        (lambda m: setattr(m, "fc1", 3), TypeError, "'int' object as child module 'fc1' of Block"),
        (lambda m: m.register_parameter("new", fb.ones(1)), TypeError, "'Tensor' object to parameter 'new'"),
        (lambda m: m.register_buffer("new", 3), TypeError, "'int' object to buffer 'new'"),
        (lambda m: m.add_module("new", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.register_parameter("a.b", None), KeyError, "can.*t contain"),
        (lambda m: m.register_buffer("", None), KeyError, "can.*t be empty"),
        (lambda m: m.register_module("forward", None), KeyError, "'forward' already exists"),
        (lambda m: m.register_buffer("fc1", None), KeyError, "'fc1' already exists"),
        (lambda m: m.register_parameter(3, None), TypeError, "should be a string. Got int"),
        (lambda m: m.get_submodule("fc1.wieght"), AttributeError, "Linear has no attribute `wieght`"),
        (lambda m: m.get_submodule("fc3"), AttributeError, "Block has no attribute `fc3`; did you mean `fc"),
        (lambda m: m.get_parameter("fc1.wieght"), AttributeError, "no attribute `wieght`; did you mean `weight`"),
        (lambda m: m.get_submodule("fc1.weight"), AttributeError, "`weight` is not an nn.Module"),
        (lambda m: m.set_submodule("offset", nn.ReLU()), AttributeError, "`offset` is not an nn.Module"),
        (lambda m: m.get_parameter("offset"), AttributeError, "`offset` is not an nn.Parameter"),
        (lambda m: m.get_buffer("fc1.weight"), AttributeError, "`weight` is not a buffer"),
        (lambda m: m.get_buffer("ofset"), AttributeError, "Block has no attribute `ofset`; did you mean `offset`"),
        (lambda m: m.train("yes"), ValueError, "expected to be boolean"),
        (lambda m: m.to(fb.int64), TypeError, "only accepts floating point or complex dtypes"),
        (lambda m: m.missing, AttributeError, "'Block' object has no attribute 'missing'"),
    ],
)
def test_failed_registrations_do_not_change_a_module(change, error, message):
    block = Block()
    before, state = repr(block), dict(vars(block))
    with pytest.raises(error, match=message):
        change(block)
    assert repr(block) == before
    assert vars(block) == state


def test_register_parameter_rejects_non_leaf_tensors():
    result = nn.Parameter(fb.ones(1))
    module = nn.Module()
    with pytest.raises(TypeError, match="Parameter or None required"):
        module.register_parameter("result", result * 2)


def test_get_submodule_finds_a_module_that_a_property_returns():
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2)])

        @property
        def head(self):
            return self.layers[-1]

    model = Wrapper()
    assert model.get_submodule("head") is model.layers[0]
    assert model.get_parameter("head.weight") is model.layers[0].weight


def test_get_submodule_and_get_parameter_find_members_by_path():
    model = Model()
    assert model.get_submodule("") is model
    assert model.get_submodule("encoder.2.fc1") is model.encoder[2].fc1
    assert model.get_parameter("encoder.2.fc1.weight") is model.encoder[2].fc1.weight
    assert model.get_buffer("encoder.0.offset") is model.encoder[0].offset


class Forgetful(nn.Module):
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    "use",
    [
        lambda: Forgetful(nn.ReLU()),
        lambda: Forgetful(nn.Parameter(fb.ones(1))),
        lambda: list(Forgetful(3).parameters()),
        lambda: Forgetful(3).state_dict(),
        lambda: repr(Forgetful(3)),
    ],
)
def test_a_missing_super_init_call_is_explained(use):
    with pytest.raises(
        AttributeError, match=r"(?s)before Module\.__init__\(\) call: Forgetful.*super\(\).__init__\(\)"
    ):
        use()


def test_calling_a_module_without_forward_raises():
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
        nn.Module()(1)


# Parameters


def test_a_parameter_is_a_leaf_that_requires_grad():
    data = fb.tensor([1.0, 2.0])
    parameter = nn.Parameter(data)
    assert isinstance(parameter, fb.Tensor)
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert repr(parameter) == "Parameter containing:\ntensor([1., 2.], requires_grad=True)"
    data.fill_(3.0)
    np.testing.assert_array_equal(parameter.detach().numpy(), [3, 3])
    assert type(parameter * 2) is fb.Tensor
    assert type(parameter.detach()) is fb.Tensor
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert nn.Parameter().numel() == 0


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_of_parameters_and_buffers_keep_their_class_and_options(duplicate):
    for original in (nn.Parameter(fb.ones(2), requires_grad=False), nn.Buffer(fb.ones(2), persistent=False)):
        twin = duplicate(original)
        assert type(twin) is type(original)
        assert isinstance(twin, nn.Buffer) == isinstance(original, nn.Buffer)
        assert twin.requires_grad == original.requires_grad
        twin.fill_(5.0)
        np.testing.assert_array_equal(original.numpy(), [1, 1])
    assert duplicate(nn.Buffer(fb.ones(1), persistent=False)).persistent is False


def test_a_buffer_is_a_plain_tensor_with_a_mark():
    data = fb.ones(2)
    buffer = nn.Buffer(data)
    assert type(buffer) is fb.Tensor
    assert repr(buffer) == "tensor([1., 1.])"
    assert buffer.data_ptr() == data.data_ptr()
    assert isinstance(buffer, nn.Buffer) and not isinstance(data, nn.Buffer) and not isinstance(buffer + 1, nn.Buffer)
    lazy = nn.UninitializedBuffer(persistent=False)
    lazy.materialize((2,))
    assert type(lazy) is fb.Tensor and isinstance(lazy, nn.Buffer) and not lazy.persistent


def test_deepcopy_keeps_sharing():
    model = nn.Module()
    model.a, model.b = nn.Linear(2, 2), nn.Linear(2, 2)
    model.b.weight = model.a.weight
    twin = copy.deepcopy(model)
    assert twin.a.weight is twin.b.weight is twin.a._parameters["weight"]
    assert twin.a.weight is not model.a.weight


def test_a_shallow_copy_has_separate_registries():
    block = Block()
    twin = copy.copy(block)
    assert twin.fc1 is block.fc1
    twin.fc1 = nn.Linear(3, 3)
    assert block._modules["fc1"] is block.fc1
    assert block.fc1.in_features == 2


# Modes


def test_train_and_eval_apply_to_all_submodules():
    model = Model()
    assert model.training
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    model.encoder.train()
    assert [module.training for module in (model, model.head, model.encoder[0].fc1)] == [False, False, True]


def test_zero_grad_and_requires_grad_apply_to_all_parameters():
    model = Model()
    model(fb.ones(3, 2)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=False)
    assert all(parameter.grad is gradient for parameter, gradient in zip(model.parameters(), gradients, strict=True))
    assert all((parameter.grad.numpy() == 0).all() for parameter in model.parameters())
    model.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.requires_grad_(False) is model
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_apply_visits_children_first():
    visited = []
    block = Block()
    assert block.apply(visited.append) is block
    assert visited == [block.fc1, block.fc2, block]


# Conversion


@pytest.mark.parametrize(
    ("convert", "dtype"),
    [
        (lambda m: m.double(), "float64"),
        (lambda m: m.half(), "float16"),
        (lambda m: m.bfloat16(), "bfloat16"),
        (lambda m: m.double().float(), "float32"),
        (lambda m: m.to(fb.float64), "float64"),
        (lambda m: m.to(dtype=fb.float64), "float64"),
        (lambda m: m.to("cpu", fb.float64), "float64"),
        (lambda m: m.to(fb.zeros(1, dtype=fb.float64)), "float64"),
        (lambda m: m.cpu(), "float32"),
        (lambda m: m.to("cpu"), "float32"),
    ],
)
def test_to_keeps_parameter_objects_and_integer_buffers(convert, dtype):
    module = nn.BatchNorm1d(2)
    module(fb.ones(3, 2)).sum().backward()
    weight = module.weight
    assert convert(module) is module
    assert module.weight is weight is module._parameters["weight"]
    assert weight.dtype == weight.grad.dtype == module.running_mean.dtype == getattr(fb, dtype)
    assert module.running_mean is module._buffers["running_mean"]
    assert module.num_batches_tracked.dtype == fb.int64
    assert weight.requires_grad
    assert weight.is_leaf


def test_type_converts_all_parameters_and_buffers():
    module = nn.BatchNorm1d(2).requires_grad_(False).type(fb.float64)
    assert {tensor.dtype for tensor in module.state_dict().values()} == {fb.float64}


def test_a_module_converted_to_float64_returns_float64():
    model = Model().double()
    out = model(fb.ones(3, 2, dtype=fb.float64))
    assert out.dtype == fb.float64


# Representation


def test_repr_of_nested_modules_is_indented():
    assert repr(Model()) == (
        "Model(\n"
        "  (encoder): Sequential(\n"
        "    (0): Block(\n"
        "      (fc1): Linear(in_features=2, out_features=2, bias=True)\n"
        "      (fc2): Linear(in_features=2, out_features=2, bias=False)\n"
        "    )\n"
        "    (1): ReLU()\n"
        "    (2): Block(\n"
        "      (fc1): Linear(in_features=2, out_features=2, bias=True)\n"
        "      (fc2): Linear(in_features=2, out_features=2, bias=False)\n"
        "    )\n"
        "  )\n"
        "  (head): Linear(in_features=2, out_features=1, bias=True)\n"
        ")"
    )


class Described(nn.Module):
    def __init__(self, text, **children):
        super().__init__()
        self.text = text
        for name, child in children.items():
            self.add_module(name, child)

    def extra_repr(self):
        return self.text


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (Described(""), "Described()"),
        (Described("size=3"), "Described(size=3)"),
        (Described("a\nb"), "Described(\n  a\n  b\n)"),
        (Described("size=3", child=nn.ReLU()), "Described(\n  size=3\n  (child): ReLU()\n)"),
        (Described("", child=None), "Described(\n  (child): None\n)"),
    ],
)
def test_repr_includes_the_text_of_extra_repr(module, text):
    assert repr(module) == text


def test_dir_of_a_module_omits_numeric_names():
    names = dir(nn.Sequential(nn.ReLU()))
    assert "0" not in names
    assert {"weight", "bias", "forward", "in_features"} <= set(dir(nn.Linear(1, 1)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], r"got list; write Parameter\(flambeau\.tensor\(\[1, 2\], dtype=flambeau\.float32\)\)"),
        (3.5, r"got float; write Parameter\(flambeau\.tensor\(3\.5, "),
        (np.ones(2), r"got numpy\.ndarray; write Parameter\(flambeau\.from_numpy\(array\)\)"),
        ("text", "got str$"),
    ],
)
def test_parameter_and_buffer_reject_data_that_is_not_a_tensor(data, message):
    with pytest.raises(TypeError, match=f"Parameter: data must be a Tensor, {message}"):
        nn.Parameter(data)
    with pytest.raises(TypeError, match="Buffer: data must be a Tensor, got "):
        nn.Buffer(data)


def test_memory_format_applies_to_4d_parameters():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 1))
    weight = model[0].weight
    before = weight.tolist()
    model.to(fb.float64, memory_format=fb.channels_last)
    assert model[0].weight is weight and weight.is_contiguous(memory_format=fb.channels_last)
    assert weight.dtype is fb.float64 and weight.tolist() == before and model[3].weight.is_contiguous()
    model.to(memory_format=fb.contiguous_format)
    assert weight.is_contiguous()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (nn.functional.relu, r"flambeau\.nn\.functional\.relu is not a Module subclass; write nn\.ReLU\(\)"),
        (nn.functional.log_softmax, r"write nn\.LogSoftmax\(dim=\.\.\.\)"),
        (fb.tanh, r"write nn\.Tanh\(\)"),
        (nn.functional.max_pool2d, r"write nn\.MaxPool2d\(\.\.\.\)"),
        (nn.ReLU, r"ReLU is not a Module subclass; write nn\.ReLU\(\)"),
        (nn.Linear, r"write nn\.Linear\(\.\.\.\)"),
        (Block, r"write Block\(\)"),
        (lambda x: x, r"call it in the forward\(\) of a Module"),
        (3, "int is not a Module subclass"),
    ],
)
def test_containers_given_a_function_suggest_the_layer(given, message):
    for make in (lambda: nn.Sequential(given), lambda: nn.ModuleList([given]), lambda: nn.ModuleDict({"a": given})):
        with pytest.raises(TypeError, match=message):
            make()


def test_sequential_given_a_list_suggests_unpacking():
    with pytest.raises(TypeError, match=r"list is not a Module subclass; .* Sequential\(\*modules\)"):
        nn.Sequential([nn.Linear(1, 1)])


def test_addindent_indents_all_lines_after_the_first():
    from flambeau.nn.modules.module import _addindent

    assert _addindent("one\ntwo\n\nthree", 4) == "one\n    two\n\n    three"


def test_get_buffer_returns_none_for_an_empty_buffer():
    module = nn.Module()
    module.register_buffer("state", None)
    assert module.get_buffer("state") is None
    with pytest.raises(AttributeError, match="no attribute `stat`"):
        module.get_buffer("stat")


def test_moving_to_the_cpu_does_not_call_an_override_of_to():
    class Fixed(nn.Linear):
        def to(self, *args, **kwargs):
            return self.cpu()

    model = Fixed(1, 1)
    assert model.to("cpu") is model


def test_a_module_may_have_the_name_of_an_attribute_of_its_class():
    class Model(nn.Module):
        act = 3

        @property
        def layer(self):
            return "property"

        @layer.setter
        def layer(self, value):
            raise AssertionError("the setter ran")

        def call(self): ...

    model = Model()
    model.act, model.layer, model.call, model.mro = (child := nn.ReLU()), nn.Tanh(), nn.GELU(), nn.SiLU()
    assert list(model._modules) == ["act", "layer", "call", "mro"] and model._modules["act"] is child
    assert (model.act, model.layer, callable(model.call)) == (3, "property", True)
    assert type(model.mro) is nn.SiLU
    with pytest.raises(KeyError, match="attribute 'call' already exists"):
        Model().add_module("call", child)
    with pytest.raises(KeyError, match="attribute 'act' already exists"):
        Model().act = nn.Parameter(fb.ones(1))


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (nn.Parameter(fb.ones(1)), nn.ReLU(), "parameter"),
        (nn.Parameter(fb.ones(1)), nn.Buffer(fb.ones(1)), "parameter"),
        (nn.ReLU(), nn.Buffer(fb.ones(1)), "child module"),
    ],
)
def test_an_assignment_does_not_replace_a_member_that_pytorch_keeps(first, second, kind):
    module = nn.Module()
    module.member = first
    with pytest.raises(TypeError, match=f"cannot assign '{type(second).__name__}' object as {kind} 'member' of Module"):
        module.member = second
    assert module.member is first


@pytest.mark.parametrize("name", ["_call_impl", "_wrapped_call_impl"])
def test_an_override_of_call_can_call_the_implementation(name):
    class Doubled(nn.Linear):
        def __call__(self, *args, **kwargs):
            return 2 * getattr(self, name)(*args, **kwargs)

    layer, seen = Doubled(2, 2), []
    layer.register_forward_hook(lambda module, args, output: seen.append(output))
    x = fb.ones(2)
    assert fb.equal(layer(x), 2 * layer.forward(x)) and len(seen) == 1


def test_a_compiled_module_is_recognised():
    pytest.importorskip("flambeau.compiler")
    layer = nn.Linear(2, 2)
    assert layer._compiled_call_impl is None
    layer.compile()
    assert layer._compiled_call_impl is layer.forward
