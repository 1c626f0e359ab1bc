"""The encoder in docs/training.md is one that the trainer takes."""

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra `imagenet`")

from hil_trainer.agents.frozen_encoder import load_encoder

PAGE = Path(__file__).parents[3] / "docs" / "training.md"


def test_the_encoder_as_written_comes_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (export,) = (block for block in blocks if "torch.export" in block)
    exec(export, {"__name__": "as_written"})
    file, function = load_encoder("vision.pt2", 128), load_encoder("imagenet", 128)
    assert file.numbers == function.numbers
    assert file.sha256 == function.sha256
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    np.testing.assert_allclose(file.encode(images), function.encode(images), atol=1e-4)
