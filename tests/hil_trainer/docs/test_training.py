"""The encoder in docs/training.md is one that the trainer takes."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hil_trainer.frozen_encoder import load_encoder

PAGE = Path(__file__).parents[3] / "docs" / "training.md"


class Network(nn.Module):
    """In place of torchvision's ResNet-18, which is not needed here."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(4, 1000)

    def forward(self, pictures):
        return self.fc(self.features(pictures))


def test_the_encoder_as_written_comes_as_a_function_and_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    models = types.ModuleType("torchvision.models")
    models.resnet18 = Network
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    torch.save(Network().state_dict(), "resnet18.pth")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    module, export = (block for block in blocks if "torchvision" in block or "torch.export" in block)
    Path("vision.py").write_text(module)
    try:
        function = load_encoder("vision:encoder", 224)
        exec(module + export, {"__name__": "as_written"})
    finally:
        sys.modules.pop("vision", None)
    file = load_encoder("vision.pt2", 224)
    assert function.numbers == file.numbers == 4
    assert function.sha256 == file.sha256
    picture = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    np.testing.assert_allclose(function.encode(picture), file.encode(picture), atol=1e-4)
