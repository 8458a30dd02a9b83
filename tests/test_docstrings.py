"""Public functions document what they are given, return and raise."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def public(body, parts=()):
    """Public functions and methods, and `__init__`, with their dotted names; nested functions are left out."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, (*parts, node.name))
        elif isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
            yield ".".join((*parts, node.name)), node


def sections(docstring):
    """Text below each "Args:", "Returns:", ... by that word."""
    found, name = {}, None
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            name = line.removesuffix(":") if line in ("Args:", "Returns:", "Yields:", "Raises:") else None
        elif name:
            found[name] = f"{found.get(name, '')}{line}\n"
    return found


def parameters(node):
    given = node.args
    named = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    rest = [f"*{given.vararg.arg}"] if given.vararg else []
    rest += [f"**{given.kwarg.arg}"] if given.kwarg else []
    return [each for each in (*named, *rest) if each not in ("self", "cls")]


def raised(body):
    """Names of the errors that statements raise; functions and classes inside them are left out."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            yield ast.unparse(error)
        yield from raised(ast.iter_child_nodes(node))


def lacks(node):
    """What the docstring of a function lacks, or has beyond its signature."""
    found = sections(ast.get_docstring(node) or "")
    entries = re.findall(r"^    ((?:\*{0,2}\w+, )*\*{0,2}\w+):", found.get("Args", ""), re.MULTILINE)
    documented = {name for entry in entries for name in entry.split(", ")}
    wanted = parameters(node)
    missing = [f"{name} in Args" for name in wanted if name not in documented]
    missing += [f"no {name} in Args: there is no such parameter" for name in sorted(documented - set(wanted))]
    nothing = isinstance(node.returns, ast.Constant) and node.returns.value is None
    if wanted and not nothing and not {"Returns", "Yields"} & set(found):
        missing.append("Returns or Yields")
    errors = dict.fromkeys(raised(node.body))
    return missing + [f"{error} in Raises" for error in errors if error not in found.get("Raises", "")]


def faults(source):
    return [f"{name}: {each}" for name, node in public(ast.parse(source).body) for each in lacks(node)]


def test_public_functions_document_parameters_results_and_errors():
    paths = sorted(path for folder in ("moleflow", "stages") for path in (ROOT / folder).rglob("*.py"))
    assert paths
    wrong = [f"{path.relative_to(ROOT)}: {each}" for path in paths for each in faults(path.read_text(encoding="utf-8"))]
    assert not wrong, "docstrings lack:\n" + "\n".join(wrong)


WHOLE = '''
class Kind:
    def __init__(self, a: int, *rest: int, b: int) -> None:
        """Makes one.

        Args:
            a: one: two, three.
                four: five.
            *rest: more.
            b: other.
        """

    def method(self, x: int, y: int) -> int:
        """Adds.

        Args:
            x, y: numbers.

        Returns:
            Their sum.

        Raises:
            ValueError: x is small.

        Source: somebody.
        """
        def inner() -> None:
            raise KeyError
        if x < 0:
            raise ValueError(x)
        return x + y
'''


def test_a_whole_docstring_passes_and_every_missing_line_is_told():
    assert faults(WHOLE) == []
    for line, told in {
        "            a: one: two, three.\n                four: five.\n": "Kind.__init__: a in Args",
        "            *rest: more.\n": "Kind.__init__: *rest in Args",
        "        Returns:\n            Their sum.\n\n": "Kind.method: Returns or Yields",
        "            ValueError: x is small.\n": "Kind.method: ValueError in Raises",
    }.items():
        assert line in WHOLE
        assert faults(WHOLE.replace(line, "")) == [told]
    stale = WHOLE.replace("            b: other.\n", "            b: other.\n            c: gone.\n")
    assert faults(stale) == ["Kind.__init__: no c in Args: there is no such parameter"]
    assert faults(WHOLE.replace("x, y: numbers", "x: number")) == ["Kind.method: y in Args"]
    assert faults("def _hidden(x): ...\nclass _Hidden:\n    def shown(self, x): ...\n") == []
