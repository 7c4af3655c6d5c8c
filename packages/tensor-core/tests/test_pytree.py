"""Tests of flambeau.utils._pytree, which programs use although its name is private."""

import copy
import dataclasses
import pickle
from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import NamedTuple

import pytest

import flambeau as fb
from flambeau.utils import _pytree as pytree


class Point(NamedTuple):
    x: object
    y: object


TREE = {"a": 1, "b": (2, [3, None]), "p": Point(4, OrderedDict(z=5)), "q": deque([6], maxlen=3)}
LEAVES = [1, 2, 3, None, 4, 5, 6]


def test_unflatten_inverts_flatten():
    leaves, spec = pytree.tree_flatten(TREE)
    assert leaves == LEAVES == pytree.tree_leaves(TREE)
    assert spec.num_leaves == 7
    assert not spec.is_leaf()
    assert pytree.tree_structure(3).is_leaf()
    back = pytree.tree_unflatten(leaves, spec)
    assert back == TREE
    assert type(back["p"]) is Point
    assert type(back["p"].y) is OrderedDict
    assert back["q"].maxlen == 3


def test_default_dictionaries_keep_their_factory():
    back = pytree.tree_map(lambda n: n + 1, defaultdict(list, a=1))
    assert back == {"a": 2}
    assert back["new"] == []


def test_tree_map_combines_several_trees():
    assert pytree.tree_map(lambda a, b: a + b, {"x": 1, "y": (2, 3)}, {"y": (20, 30), "x": 10}) == {
        "x": 11,
        "y": (22, 33),
    }
    assert pytree.tree_map(lambda a, b: (a, b), [1, 2], [[3], {"k": 4}]) == [(1, [3]), (2, {"k": 4})]
    assert pytree.tree_map_with_path(lambda path, a, b: (pytree.keystr(path), a * b), [1, 2], [3, 4]) == [
        ("[0]", 3),
        ("[1]", 8),
    ]


@pytest.mark.parametrize("other", [[1], (1, 2), {"x": 1}, 3, [1, 2, 3]])
def test_trees_of_another_shape_are_rejected(other):
    with pytest.raises(ValueError, match="different structures"):
        pytree.tree_map(lambda a, b: a, [1, 2], other)


def test_a_wrong_number_of_leaves_is_rejected():
    with pytest.raises(ValueError, match="expected 2 leaves, got 3"):
        pytree.tree_unflatten([1, 2, 3], pytree.tree_structure([0, 0]))


def test_is_leaf_selects_leaves():
    assert pytree.tree_leaves([(1, 2), [3]], is_leaf=lambda part: isinstance(part, tuple)) == [(1, 2), 3]


def test_tree_map_only_selects_leaves_by_type_or_predicate():
    tree = [1, 2.0, "a", fb.ones(2)]
    assert pytree.tree_map_only((int, float), lambda n: -n, tree)[:3] == [-1, -2.0, "a"]
    assert pytree.tree_map_only(fb.Tensor, lambda t: tuple(t.shape), tree)[3] == (2,)
    assert pytree.tree_map_only(lambda leaf: leaf == "a", str.upper, [1, "a"]) == [1, "A"]
    assert pytree.tree_any(lambda leaf: leaf == 2, [1, [2]])
    assert not pytree.tree_all(lambda leaf: leaf == 2, [1, [2]])
    assert pytree.tree_all_only(int, lambda n: n > 0, [1, "a"])
    assert not pytree.tree_any_only(str, str.isupper, [1, "a"])


def test_tree_map_in_place_returns_the_tree():
    seen = []
    tree = [1, [2]]
    assert pytree.tree_map_(seen.append, tree) is tree
    assert seen == [1, 2]


def test_keystr_returns_python_expressions():
    paths = [pytree.keystr(path) for path, _ in pytree.tree_flatten_with_path(TREE)[0]]
    assert paths == ["['a']", "['b'][0]", "['b'][1][0]", "['b'][1][1]", "['p'].x", "['p'].y['z']", "['q'][0]"]


def test_custom_classes_can_be_registered_as_nodes():
    class Pair:
        def __init__(self, first, second):
            self.first, self.second = first, second

    pytree.register_pytree_node(Pair, lambda p: ((p.first, p.second), None), lambda children, _: Pair(*children))
    try:
        doubled = pytree.tree_map(lambda n: 2 * n, [Pair(1, (2, 3))])[0]
        assert (doubled.first, doubled.second) == (2, (4, 6))
        with pytest.raises(ValueError, match="already registered"):
            pytree.register_pytree_node(Pair, None, None)
    finally:
        del pytree.SUPPORTED_NODES[Pair]


def test_dataclasses_are_containers_of_their_fields():
    @dataclasses.dataclass
    class Batch:
        x: object
        y: object
        name: str = "none"

    with pytest.raises(ValueError, match="not a dataclass"):
        pytree.register_dataclass(str)
    pytree.register_dataclass(Batch, drop_field_names=["name"])
    try:
        tree = {"a": Batch(1, [2, 3], "dropped")}
        assert pytree.tree_map(lambda n: n + 1, tree) == {"a": Batch(2, [3, 4])}
        assert [pytree.keystr(path) for path, _ in pytree.tree_flatten_with_path(tree)[0]][1] == "['a'].y[0]"
    finally:
        del pytree.SUPPORTED_NODES[Batch]


def test_node_types_and_flatten_functions_are_available():
    tree = [Point(1, 2), {"a": 3}]
    assert pytree._get_node_type(tree[0]) is namedtuple  # noqa: PYI024
    assert pytree._get_node_type(5) not in pytree.SUPPORTED_NODES
    node = pytree.SUPPORTED_NODES[list]
    children, context = node.flatten_fn(tree)
    assert node.unflatten_fn(children, context) == tree
    shape = pytree.TreeSpec(list, context, [pytree.LeafSpec(), pytree.LeafSpec()])
    assert pytree.tree_unflatten(["p", "q"], shape) == ["p", "q"]


def test_tree_specs_can_be_copied():
    shape = pytree.tree_structure([1, {"a": (2, 3)}])
    for same in (copy.deepcopy(shape), pickle.loads(pickle.dumps(shape))):
        assert same == shape and same.num_leaves == 3
    assert isinstance(shape.children[0], pytree.LeafSpec) and not isinstance(shape, pytree.LeafSpec)


def test_a_list_subclass_can_be_registered_with_list_functions():
    class Own(list):
        pass

    pytree.register_pytree_node(
        Own,
        pytree._list_flatten,
        lambda items, context: Own(pytree._list_unflatten(items, context)),
        flatten_with_keys_fn=pytree._list_flatten_with_keys,
    )
    doubled = pytree.tree_map(lambda x: 2 * x, {"a": Own([1, 2])})
    assert doubled == {"a": [2, 4]} and type(doubled["a"]) is Own
    assert pytree._list_flatten_with_keys([5, 6]) == ([(pytree.SequenceKey(0), 5), (pytree.SequenceKey(1), 6)], None)


def test_registered_constants_have_no_leaves():
    class Norm(str):
        __slots__ = ()

    pytree.register_constant(Norm)
    leaves, shape = pytree.tree_flatten([Norm("l2"), 1])
    assert leaves == [1] and pytree.tree_unflatten([2], shape) == [Norm("l2"), 2]
    assert shape != pytree.tree_structure([Norm("l1"), 1])
    with pytest.raises(TypeError, match="non-default `__eq__`"):
        pytree.register_constant(object)
    with pytest.raises(TypeError, match="non-default `__hash__`"):
        pytree.register_constant(bytearray)


def test_arg_tree_leaves_flattens_arguments():
    assert pytree.arg_tree_leaves([1, 2], 3, last={"a": 4}) == [1, 2, 3, 4]


def test_paths_to_leaves_consist_of_keys():
    found = dict(pytree.tree_flatten_with_path({"a": [1]})[0])
    assert found == {(pytree.MappingKey("a"), pytree.SequenceKey(0)): 1}
    assert pytree.MappingKey("a").get({"a": 2}) == 2 and pytree.SequenceKey(1).get([3, 4]) == 4
    assert pytree.GetAttrKey("real").get(5) == 5


def test_registered_classes_can_name_their_children():
    class Named:
        def __init__(self, *children):
            self.children = children

    def flatten(tree):
        return list(tree.children), None

    def flatten_with_keys(tree):
        return [(pytree.GetAttrKey(f"child{i}"), child) for i, child in enumerate(tree.children)], None

    pytree.register_pytree_node(Named, flatten, lambda c, _: Named(*c), flatten_with_keys_fn=flatten_with_keys)
    try:
        paths = [pytree.keystr(path) for path, _ in pytree.tree_flatten_with_path([Named(1, (2,))])[0]]
    finally:
        del pytree.SUPPORTED_NODES[Named]
    assert paths == ["[0].child0", "[0].child1[0]"]


def test_sizes_and_named_results_are_containers():
    assert pytree.tree_flatten(fb.Size([2, 3]))[0] == [2, 3]
    assert pytree.tree_map(lambda n: n + 1, fb.Size([2, 3])) == (3, 4)
    largest = pytree.tree_map(lambda t: t + 1, fb.tensor([[1, 3], [2, 0]]).max(0))
    assert type(largest) is fb.return_types.max
    assert largest.values.tolist() == [3, 4] and largest.indices.tolist() == [2, 1]


def test_types_of_named_results_are_struct_sequences():
    values = fb.ones(2, 2).max(0)
    for known, other in ((values, (1, 2)), (type(values), tuple)):
        assert pytree.is_structseq(known) and not pytree.is_structseq(other)
    assert pytree.is_structseq_instance(values) and not pytree.is_structseq_instance(type(values))
    assert pytree.is_structseq_class(type(values)) and not pytree.is_structseq_class(tuple)


def test_values_for_a_prefix_of_a_tree_are_broadcast_to_its_leaves():
    _, spec = pytree.tree_flatten({"a": (1, [2, 3]), "b": 4})
    assert pytree._broadcast_to_and_flatten({"a": (0, 1), "b": None}, spec) == [0, 1, 1, None]
    assert pytree._broadcast_to_and_flatten(5, spec) == [5] * 4
    assert pytree._broadcast_to_and_flatten({"a": (0, 1, 2), "b": 3}, spec) is None
    assert pytree._broadcast_to_and_flatten({"a": 0, "c": 3}, spec) is None


def test_named_tuples_and_leaves_are_recognised():
    pair = namedtuple("pair", "a b")  # noqa: PYI024
    assert pytree.is_namedtuple(pair) and pytree.is_namedtuple_instance(pair(1, 2)) and pytree.is_namedtuple_class(pair)
    assert not pytree.is_namedtuple((1,)) and not pytree.is_namedtuple_instance(pair)
    assert pytree.tree_is_leaf(1) and not pytree.tree_is_leaf([1]) and pytree.tree_is_leaf([1], lambda x: x == [1])
    assert list(pytree.tree_iter({"a": [1, 2]})) == [1, 2]
    seen, tree = [], [1, "a", (2.5, 3)]
    assert pytree.tree_map_only_(int, seen.append, tree) is tree and seen == [1, 3]
    paths = pytree.tree_leaves_with_path({"a": [1, 2]})
    assert [(pytree.keystr(path), leaf) for path, leaf in paths] == [("['a'][0]", 1), ("['a'][1]", 2)]
