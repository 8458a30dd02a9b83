"""`make device-check` in its small form, on the processor alone."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import device_check


def test_the_check_runs_and_finds_that_the_processor_agrees_with_itself(tmp_path, capsys):
    output = tmp_path / "found.json"
    assert device_check.main(["--small", "--device", "cpu", "--output", str(output)]) == 0
    found = json.loads(output.read_text())
    assert found["agrees"]
    assert set(found["agreement"].values()) == {0.0}
    assert any(name.startswith("backbone: layer") for name in found["agreement"])
    assert len(found["products"]) == 4
    assert all(value > 0 for measured in found["products"].values() for value in measured.values())
    printed = capsys.readouterr().out
    assert "| 40 images of 4×4×16, fp32 |" in printed
    assert "Training waits for numbers of the device: not asked" in printed


def test_a_device_that_computes_something_else_fails_the_check(tmp_path, monkeypatch):
    exact = device_check.difference
    monkeypatch.setattr(device_check, "difference", lambda found, expected: exact(found * 1.01, expected))
    assert device_check.main(["--small", "--device", "cpu", "--output", str(tmp_path / "found.json")]) == 1


def test_an_unknown_device_is_said_plainly():
    with pytest.raises(Exception, match="device: 'abacus' is not available"):
        device_check.main(["--small", "--device", "abacus"])
