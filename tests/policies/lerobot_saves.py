"""Save a small ACT policy without training, for PickCube from state. Run by LeRobot's own Python.

python lerobot_saves.py OUT
"""

import sys

import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies import ACTConfig, make_pre_post_processors
from lerobot.policies.act.modeling_act import ACTPolicy

SIZES = {"observation.state": 18, "observation.environment_state": 3, "action": 4}
TYPES = {"observation.environment_state": FeatureType.ENV, "action": FeatureType.ACTION}


def main(out: str) -> None:
    features = {key: PolicyFeature(TYPES.get(key, FeatureType.STATE), (size,)) for key, size in SIZES.items()}
    outputs = {"action": features.pop("action")}
    size = {"dim_model": 32, "dim_feedforward": 32, "n_encoder_layers": 1, "use_vae": False}
    chunk = {"chunk_size": 4, "n_action_steps": 2}
    config = ACTConfig(input_features=features, output_features=outputs, device="cpu", **size, **chunk)
    statistics = {key: {"mean": torch.zeros(size), "std": torch.ones(size)} for key, size in SIZES.items()}
    for part in (ACTPolicy(config), *make_pre_post_processors(config, dataset_stats=statistics)):
        part.save_pretrained(out)


if __name__ == "__main__":
    main(sys.argv[1])
