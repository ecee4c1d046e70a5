"""Fits leave nothing behind: a second round over the same configurations ends with the objects of the first."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("psutil", reason="of the extra 'bench'")

from benchmarks import soak

N_FITS = 20  # a round: each configuration once, and two rounds of failed fits


def test_rounds_of_fits_leave_nothing_behind():
    """Compare counts of objects, which are exact, instead of bytes, which the allocator rounds."""
    after = []
    for _ in range(3):  # the first fills caches
        for i in range(N_FITS):
            soak.one_fit(i)
        after.append({name: number for name, number in soak.counts().items() if name != "MB"})
    assert after[2] == after[1]
    assert after[2]["estimators"] == after[0]["estimators"]


def test_the_counts_include_objects_left_behind():
    before = soak.counts()
    left = soak.AutoencoderTransformer(1, max_epochs=0).fit([[0.0, 1.0], [1.0, 0.0]])
    with Path(__file__).open():
        after = soak.counts()
    del left
    assert after["estimators"] == before["estimators"] + 1
    assert after["tensors"] > before["tensors"]
    assert after["files"] == before["files"] + 1


def test_a_fit_that_should_fail_and_does_not_is_detected():
    model = soak.AutoencoderTransformer(1, max_epochs=0)
    with pytest.raises(AssertionError, match="did not fail"):
        soak.fails(model, [[0.0, 1.0], [1.0, 0.0]], {"lr": 0.1})


def test_networks_built_from_classes_queue_no_seeds(monkeypatch):
    """torch.manual_seed queues one per call, for a GPU that may never be used: some kilobytes per fit."""
    monkeypatch.setattr(torch, "manual_seed", None)
    for i in range(len(soak.CONFIGURATIONS)):
        soak.one_fit(i)
