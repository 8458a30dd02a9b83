"""One word for one idea, in American spelling: CONTRIBUTING.md lists the words."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".yaml", ".html"}
# History speaks the language of its day; dvc.lock and requirements.lock have other suffixes.
EXEMPT = {"CHANGELOG.md", "docs/speed.md", "docs/tried.md", "tests/test_words.py"}
QUOTED = {
    "": ("Towards Total Recall", "On the generalised distance in statistics"),  # titles of papers
    # Old names that users may still have in params.yaml.
    "stages/params_mistakes.py": ("neighbourhood", "probe_nuisances"),
    "tests/stages/test_check.py": ("neighbourhood", "probe_nuisances"),
}

# What stands in a word -> what to write. Stems of verbs in -ise stop before what is common to other words: "realistic".
VERBS = (
    "binar", "categor", "character", "crystall", "custom", "discret", "final", "general", "harmon", "initial", "item",
    "linear", "local", "maxim", "memor", "minim", "modern", "normal", "optim", "organ", "parallel", "parameter",
    "parametr", "penal", "priorit", "quant", "random", "real", "recogn", "regular", "serial", "special", "stabil",
    "standard", "summar", "symbol", "token", "util", "vector", "visual",
)  # fmt: skip
WORDS = {
    **{rf"{verb}is(?:e|ing|ation)": f"{verb}ize" for verb in VERBS},
    r"analys(?:ed|ing|er|e\b)": "analyze",
    r"(col|neighb|behavi|fav|flav|hon|lab|harb|vap)our": r"\1or",
    "modell(ed|ing)": r"model\1",
    "labell(ed|ing)": r"label\1",
    "cancell(ed|ing)": r"cancel\1",
    "channell(ed|ing)": r"channel\1",
    "travell(ed|ing)": r"travel\1",
    "centr(?:e|ing)": "center",
    r"(fib|calib|theat)re\b": r"\1er",
    r"\b((?:centi|milli|kilo)?met|lit)res?\b": r"\1er",
    "grey": "gray",
    r"\b(to|after)wards\b": r"\1ward",
    "anticlockwise": "counterclockwise",
    "licence": "license",
    "(def|off)ence": r"\1ense",
    "artefact": "artifact",
    "learnt": "learned",
    "spelt": "spelled",
    "burnt": "burned",
    "whilst": "while",
    "amongst": "among",
    "catalogue": "catalog",
    "programme(?!d|r)": "program",
    "judgement": "judgment",
    "(?<!ar)rival": "baseline",
    "stolen": "misrouted",
    r"thie(?:f|ves)": "the product that images are misrouted to",
    "verdict": "prediction",
    "nuisance": "perturbation",
}


def faults(name, text):
    """What a file should say instead, line by line."""
    found = []
    for quoted in (*QUOTED[""], *QUOTED.get(name, ())):
        text = text.replace(quoted, "")
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, use in WORDS.items():
            for match in re.finditer(pattern, line, re.IGNORECASE):
                found.append(f"{name}:{number}: {match[0]!r}: write {match.expand(use)!r}")
    return found


def files():
    """Text files that git tracks or would take in, so that a new one is read before it is committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    names = {name for name in listed if Path(name).suffix in SUFFIXES or Path(name).name == "Makefile"}
    return sorted(name for name in names - EXEMPT if (ROOT / name).is_file())


def test_every_file_uses_the_words_of_the_project():
    names = files()
    assert {"Makefile", "params.yaml", "README.md", "stages/params_mistakes.py"} <= set(names)
    wrong = [fault for name in names for fault in faults(name, (ROOT / name).read_text(encoding="utf-8"))]
    assert not wrong, "other words are used here:\n" + "\n".join(wrong)


def test_a_wrong_word_is_told_with_its_line_and_the_right_one():
    assert faults("a.py", "fine\nits Colour is grey") == [
        "a.py:2: 'Colour': write 'Color'",
        "a.py:2: 'grey': write 'gray'",
    ]
    assert faults("a.py", "map_centre, standardised") == [
        "a.py:1: 'standardise': write 'standardize'",
        "a.py:1: 'centre': write 'center'",
    ]
    assert faults("stages/params_mistakes.py", "probe_nuisances neighbours") == [
        "stages/params_mistakes.py:1: 'neighbour': write 'neighbor'"
    ]
    for fine in ("arrival", "realistic", "optimism", "generalist", "otherwise", "precisely", "Towards Total Recall"):
        assert faults("a.py", fine) == []
