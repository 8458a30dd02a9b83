"""12. Rates that ask for more normal images than there are."""

import re

import numpy as np
import pytest
from projects import Project

from moleflow.calibration.conformal import alarm_threshold, images_needed
from moleflow.calibration.needs import alarm_needs
from moleflow.routing.rejection import can_reject, rejection_needs


@pytest.mark.parametrize("alarm_rate", [0.5, 0.05, 0.03, 0.01, 0.001])
@pytest.mark.parametrize("normal", [10, 50, 160, 2000])
def test_12_what_is_said_to_help_helps(alarm_rate, normal):
    calibration = round(0.2 * normal)
    said = alarm_needs(alarm_rate, calibration, normal, drawn=True)

    def warranted(images, rate=alarm_rate):
        return np.isfinite(alarm_threshold(np.arange(images, dtype=float), rate))

    assert ("what helps" in said) != warranted(calibration)
    if warranted(calibration):
        assert said == f"{alarm_rate:g} needs {images_needed(alarm_rate)} calibration images, there are {calibration}"
        return
    more = int(re.search(r"(\d+) more normal images", said)[1])
    assert warranted(round(0.2 * (normal + more)))
    rate = float(re.search(r"alarm_rate: (\S+) or more", said)[1])
    assert warranted(calibration, rate)
    fraction = re.search(r"calibration_fraction: ([\d.]+)", said)
    assert (fraction is not None) == (images_needed(alarm_rate) <= normal - 2)
    if fraction:
        assert warranted(round(float(fraction[1]) * normal))
        assert normal - round(float(fraction[1]) * normal) >= 1


def test_12_a_data_sets_own_calibration_images_must_grow():
    assert alarm_needs(0.01, 30, 200, drawn=False).endswith(
        "no alarm can be raised; what helps: 69 more calibration images, or alarm_rate: 0.033 or more"
    )


@pytest.mark.parametrize(("training", "rate"), [(4, 0.01), (5, 0.01), (4, 0.0), (2, 0.4)])
def test_12_rejection_says_what_it_needs(training, rate):
    assert ("what helps" in rejection_needs(training, rate)) == (rate > 0 and not can_reject(training))


def test_12_check_and_report_say_it(tmp_path, monkeypatch, capsys):
    project = Project.of_small_products(tmp_path)
    project.edit(alarm_rate=0.01, reject_rate=0.0)
    project.run()
    page = (tmp_path / "metrics/report/index.html").read_text()
    said = (
        "0.01 needs 99 calibration images and there are 4: no alarm can be raised; what helps: 475 more normal images"
    )
    assert page.count(said) == 3
    assert "16 to learn from, 4 for calibration, 4 normal and 4 defective ones to test" in page
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["moleflow", "check"])
    from moleflow.cli.main import main

    main()
    assert capsys.readouterr().out.count(said) == 3
