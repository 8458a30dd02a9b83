"""CONTRIBUTING.md says what is true of this commit."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_its_example_of_an_alignment_can_be_applied():
    (diff,) = re.findall(r"```diff\n(.*?\n)```", TEXT, re.DOTALL)
    files = set(re.findall(r"^\+\+\+ b/(.*)$", diff, re.MULTILINE))
    alignments = "moleflow/flow/alignments"
    assert files == {f"{alignments}/conditioned.py", f"{alignments}/__init__.py", "params.yaml", "stages/base.py"}
    done = subprocess.run(["git", "apply", "--check", "-"], input=diff, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_lists_the_tests_that_run_real_dvc():
    listed = set(re.findall(r"^\| `(test_\w+)`", TEXT, re.MULTILINE))
    marked = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        if re.search(r"^pytestmark = pytest\.mark\.dvc", source, re.MULTILINE):
            marked |= set(re.findall(r"^def (test_\w+)", source, re.MULTILINE))
        marked |= set(re.findall(r"^@pytest\.mark\.dvc\ndef (test_\w+)", source, re.MULTILINE))
    assert listed == marked
