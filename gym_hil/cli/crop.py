"""Crop each camera's images to the region that matters, into a new dataset."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from gym_hil.cli.arguments import add_console_arguments, console_options, path_argument
from gym_hil.cli.dataset import add_out_arguments
from gym_hil.datasets.features import IMAGES
from gym_hil.datasets.images import Region, crop_params
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.datasets.transform import check_place, crop_dataset
from gym_hil.errors import ConfigurationError, MissingExtraError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gym-hil crop`."""
    parser.add_argument("dataset", type=path_argument, metavar="DATASET", help="folder of the dataset")
    parser.add_argument(
        "--roi",
        action="append",
        default=[],
        metavar="CAMERA=TOP,LEFT,HEIGHT,WIDTH",
        help="region of a camera, in pixels; repeat it for each camera (default: draw the regions in the browser)",
    )
    parser.add_argument(
        "--resize",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="size to which all images are resized, in pixels",
    )
    add_out_arguments(parser)
    add_console_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run `gym-hil crop`."""
    dataset = EpisodeDataset(arguments.dataset)
    if arguments.resize is not None and min(arguments.resize) < 1:
        raise ConfigurationError(f"--resize is {arguments.resize}; expected a height and a width of 1 or more.")
    # Before the regions are drawn, so that they are not drawn in vain.
    check_place(Path(arguments.out), [dataset], arguments.overwrite)
    regions = _regions(dataset, arguments)
    resize = None if arguments.resize is None else tuple(arguments.resize)
    place = {"repo_id": arguments.repo_id, "overwrite": arguments.overwrite}
    made = crop_dataset(arguments.dataset, arguments.out, regions, resize=resize, **place)
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in crop_params(regions, resize).items()]
    print("{\n" + ",\n".join(lines) + "\n}")
    print(f"{made.path}: {len(made)} episodes, {made.total_frames} frames")
    return 0


def _parse_regions(dataset: EpisodeDataset, texts: Sequence[str]) -> dict[str, Region]:
    """Feature -> region, of texts `camera=top,left,height,width`; a camera by its name or its feature's."""
    regions: dict[str, Region] = {}
    names = {key.removeprefix(IMAGES): key for key in dataset.video_keys}
    for text in texts:
        camera, _, numbers = text.partition("=")
        key = names.get(camera, camera)
        if key not in dataset.video_keys:
            raise ConfigurationError(f"--roi {text}: there is no camera {camera!r}; choose from {', '.join(names)}.")
        if key in regions:
            raise ConfigurationError(f"--roi {text}: {camera} has a region already.")
        regions[key] = Region.parse(numbers)
    return regions


def _regions(dataset: EpisodeDataset, arguments: argparse.Namespace) -> dict[str, Region]:
    """The regions as numbers, or from the page in the browser."""
    options = console_options(arguments)
    if arguments.roi:
        if options.given():
            raise ConfigurationError(
                f"{options.flags}: for choosing in the browser, but the regions are given by --roi."
            )
        return _parse_regions(dataset, arguments.roi)
    if not dataset.video_keys or not len(dataset):
        raise ConfigurationError(f"{dataset.path} has no images to choose a region in.")
    try:
        from gym_hil.cli.crop_page import choose_regions
    except MissingExtraError as error:
        raise MissingExtraError(
            f"{error} Or give the regions by --roi CAMERA=TOP,LEFT,HEIGHT,WIDTH, once for each camera."
        ) from None
    return choose_regions(dataset, options)
