"""12. Rates that ask for more normal images than there are."""

import re

import numpy as np
import pytest
from projects import Project

from moleflow.calibration.conformal import alarm_threshold, images_needed
from moleflow.calibration.needs import alarm_needs, smallest_rate
from moleflow.routing.rejection import can_reject, rejection_needs


def warranted(images, rate):
    """Whether a threshold can be set with so many images."""
    return np.isfinite(alarm_threshold(np.arange(images, dtype=float), np.ones(images), rate))


@pytest.mark.parametrize("alarm_rate", [0.5, 0.05, 0.03, 0.01, 0.001])
@pytest.mark.parametrize("normal", [10, 50, 160, 2000])
def test_12_what_is_said_to_help_helps(alarm_rate, normal):
    calibration = round(0.2 * normal)
    said = alarm_needs(alarm_rate, calibration, normal, fraction=0.2, may_cross=True)
    assert ("what helps" in said) != warranted(calibration, alarm_rate)
    if warranted(calibration, alarm_rate):
        needed = images_needed(alarm_rate)
        assert said == f"{alarm_rate:g} needs {needed} normal images to compare with, there are {calibration}"
        return
    more = int(re.search(r"(\d+) more normal images", said)[1])
    assert warranted(round(0.2 * (normal + more)), alarm_rate)
    rate = float(re.search(r"alarm_rate: (\S+) or more", said)[1])
    assert warranted(calibration, rate)
    assert ("calibration: cross" in said) == warranted(normal, alarm_rate)
    fraction = re.search(r"calibration_fraction: ([\d.]+)", said)
    assert (fraction is not None) == (images_needed(alarm_rate) <= normal - 2)
    if fraction:
        assert warranted(round(float(fraction[1]) * normal), alarm_rate)
        assert normal - round(float(fraction[1]) * normal) >= 1


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("normal", [5, 7, 24, 43, 94])
def test_12_the_least_number_of_images_that_helps(normal, fraction):
    calibration = max(1, round(fraction * normal))
    said = alarm_needs(0.01, calibration, normal, fraction=fraction, may_cross=False)
    more = int(re.search(r"(\d+) more normal images", said)[1])
    assert warranted(round(fraction * (normal + more)), 0.01)
    assert not warranted(round(fraction * (normal + more - 1)), 0.01)


@pytest.mark.parametrize("images", [1, 19, 32, 42, 64, 99, 128, 1000, 20_000])
def test_12_the_smallest_rate_can_be_promised(images):
    assert warranted(images, smallest_rate(images))
    assert smallest_rate(images) <= 1.1 / (images + 1)


@pytest.mark.parametrize(("alarm_rate", "normal"), [(0.05, 10), (0.01, 50), (0.001, 160)])
def test_12_where_all_normal_images_are_compared_with_only_more_of_them_help(alarm_rate, normal):
    said = alarm_needs(alarm_rate, normal, normal, fraction=0.2, may_cross=True)
    more = int(re.search(r"(\d+) more normal images", said)[1])
    assert warranted(normal + more, alarm_rate)
    assert not warranted(normal + more - 1, alarm_rate)
    assert "calibration_fraction" not in said


def test_12_a_promise_for_other_days_asks_for_changed_images_too():
    said = alarm_needs(0.01, 64, 320, fraction=0.2, may_cross=True, kinds=4)
    assert (
        "there are 64: no alarm can be raised; what helps: 173 more normal images with probe_images: 25 or more" in said
    )


def test_12_a_data_sets_own_calibration_images_must_grow():
    assert alarm_needs(0.01, 30, 200, fraction=None, may_cross=True).endswith(
        "no alarm can be raised; what helps: 69 more calibration images, or alarm_rate: 0.033 or more"
    )


@pytest.mark.parametrize(("training", "rate"), [(4, 0.01), (5, 0.01), (4, 0.0), (2, 0.4)])
def test_12_rejection_says_what_it_needs(training, rate):
    assert ("what helps" in rejection_needs(training, rate)) == (rate > 0 and not can_reject(training))


def test_12_check_and_report_say_it(tmp_path, monkeypatch, capsys):
    project = Project.of_small_products(tmp_path)
    project.edit(alarm_rate=0.01, reject_rate=0.0, score="distances")
    project.run()
    page = (tmp_path / "metrics/report/index.html").read_text()
    said = (
        "0.01 needs 99 normal images to compare with and there are 20: no alarm can be raised; what helps: "
        "79 more normal images, or alarm_rate: 0.048 or more"
    )
    assert page.count(said) == 3
    assert "16 to learn from, 4 for calibration, 4 normal and 4 defective ones to test" in page
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["moleflow", "check"])
    from moleflow.cli.main import main

    main()
    assert capsys.readouterr().out.count(said) == 3
