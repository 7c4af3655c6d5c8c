"""The reference has every public function, and each says what it does."""

import flambeau as fb
from tools.reference.pages import entries, page


def test_every_operator_has_an_entry():
    listed = {each.name for each in entries(fb)}
    operators = {e["name"] for e in fb._core.signatures() if e["function"] and e["module"] == "flambeau"}
    assert {name for name in operators if not name.startswith("special_")} <= listed
    rows = {row["name"] for row in fb._core.pointwise_rows() if not row["name"].startswith(("_", "special_"))}
    assert rows <= listed
    special = {each.name for each in entries(fb.special)}
    assert {f"special_{name}" for name in special} >= {n for n in operators if n.startswith("special_")}


def test_every_operator_says_what_it_does():
    assert [each.name for each in entries(fb) if not each.text] == []


def test_an_entry_names_the_other_forms():
    entry = next(each for each in entries(fb) if each.name == "exp")
    assert entry.forms == ("Tensor.exp", "Tensor.exp_")
    assert entry.signature == "exp(input, *, out=None)"
    assert "    exp(input, *, out=None)" in page("flambeau", [entry])
