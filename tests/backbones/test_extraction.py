"""Extraction is the backbone over every image, in order."""

import copy
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import CPU, save_image
from tqdm import tqdm

from moleflow.backbones.backbone import Backbone
from moleflow.backbones.extraction import extract
from moleflow.images.reading import image_pixels


@pytest.fixture(scope="module")
def lite0():
    return Backbone("tf_efficientnet_lite0.in1k", [2, 3], "package", img_size=224, device=CPU)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_extraction_is_the_backbone_over_every_image_in_order(lite0, tmp_path, device):
    paths = [str(save_image(tmp_path / f"{number}.png", seed=number)) for number in range(50)]

    def read(path):
        return image_pixels(Path(path), 64, "stretch", white=None)

    somewhere = copy.copy(lite0)  # says that it is on the device, for what is done only there
    somewhere.device, somewhere.forward = torch.device(device), lite0.forward
    with tqdm(total=50, disable=True) as bar:
        batches = list(extract(somewhere, paths, read, bar=bar))
    assert len(batches) > 2
    direct = lite0(torch.from_numpy(np.stack([read(path) for path in paths])).float())
    for layer in range(2):
        torch.testing.assert_close(torch.cat([batch[layer] for batch in batches]), direct[layer], rtol=1e-4, atol=1e-4)


def test_extraction_of_no_image_gives_nothing(lite0):
    with tqdm(disable=True) as bar:
        assert list(extract(lite0, [], lambda path: 1 / 0, bar=bar)) == []


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_core_decodes(lite0, monkeypatch, device):
    """Of a machine with eight cores; each image waits until eight are being decoded."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    together = threading.Barrier(8)

    def read(number):
        together.wait(timeout=20)
        return np.full((3, 64, 64), number, np.uint8)

    somewhere = copy.copy(lite0)
    somewhere.device, somewhere.forward = torch.device(device), lite0.forward
    with tqdm(disable=True) as bar:
        batches = list(extract(somewhere, range(40), read, bar=bar))
    direct = lite0(torch.arange(40).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 64, 64))
    torch.testing.assert_close(torch.cat([batch[1] for batch in batches]), direct[1], rtol=1e-4, atol=1e-4)
