"""The page of `gym-hil crop`, on which an operator draws a rectangle on each camera's image. Needs the extra `web`.

- `GET /cameras`: `{"dataset": name, "episodes": count, "cameras": [{"key", "name", "height", "width"}]}`
- `GET /image/EPISODE/CAMERA`: the episode's first image of a camera, by its place in that list, as JPEG
- `POST /regions`: `{key: [top, left, height, width]}` in whole pixels, without the cameras that are left as they are.
  Answered by 200 when the regions are accepted, else by 422 and `{"camera": key or null, "text": what is wrong}`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading

import numpy as np

from gym_hil.console.web_server import WebServer  # first: its error names the extra
from gym_hil.datasets.features import IMAGES
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.display import ConsoleOptions
from gym_hil.errors import ConfigurationError, DeviceError, GymHilError

# isort: split
import simplejpeg
from aiohttp import web

QUALITY = 95  # of JPEG; pixels are looked at one by one
CHECK_INTERVAL = 0.2  # s; on Windows Ctrl-C is noticed only between two waits


def choose_regions(dataset: EpisodeDataset, options: ConsoleOptions) -> dict[str, Region]:
    """Print the page's link and wait for the operator; feature -> region, of the cameras that are cropped."""
    with contextlib.closing(CropPage(dataset, options)) as page:
        print(page.announcement(), file=sys.stderr, flush=True)
        return page.wait()


class CropPage(WebServer):
    """The page, with the first images of a dataset of one episode or more."""

    def __init__(self, dataset: EpisodeDataset, options: ConsoleOptions):
        self._dataset = dataset
        # Read here, so that an error is raised where the command was given.
        self._shapes = {key: dataset[0].image(key, 0).shape[:2] for key in dataset.video_keys}
        self._regions: dict[str, Region] = {}
        self._confirmed = threading.Event()
        super().__init__(
            "Choose the regions",
            "crop.html",
            options,
            routes=[
                web.get("/cameras", self._cameras),
                web.get("/image/{episode:[0-9]{1,9}}/{camera:[0-9]{1,3}}", self._image),
                web.post("/regions", self._confirm),
            ],
            own_page_only={"/regions"},
        )

    def wait(self) -> dict[str, Region]:
        """The regions, once the operator has confirmed them."""
        while not self._confirmed.wait(CHECK_INTERVAL):
            if not self.running:
                raise DeviceError("The page's server has ended before the regions were confirmed. Try again.")
        return self._regions

    async def _cameras(self, request: web.Request) -> web.StreamResponse:
        cameras = [
            {"key": key, "name": key.removeprefix(IMAGES), "height": height, "width": width}
            for key, (height, width) in self._shapes.items()
        ]
        return web.json_response(
            {"dataset": self._dataset.path.name, "episodes": len(self._dataset), "cameras": cameras}
        )

    async def _image(self, request: web.Request) -> web.StreamResponse:
        episode, camera = int(request.match_info["episode"]), int(request.match_info["camera"])
        if episode >= len(self._dataset) or camera >= len(self._shapes):
            raise web.HTTPNotFound(text="There is no such image.")
        try:
            # In the loop: one operator looks at one image at a time, and the dataset is for one thread at a time.
            image = self._dataset[episode].image(list(self._shapes)[camera], 0)
        except GymHilError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        body = simplejpeg.encode_jpeg(np.ascontiguousarray(image), QUALITY, colorspace="RGB", colorsubsampling="444")
        return web.Response(body=body, content_type="image/jpeg")

    async def _confirm(self, request: web.Request) -> web.StreamResponse:
        regions: dict[str, Region] = {}
        camera = None  # that the problem is about
        try:
            values = json.loads(await request.text())
            if not isinstance(values, dict) or not values.keys() <= self._shapes.keys():
                raise ValueError
            for camera, numbers in values.items():
                # bool is a kind of int in Python.
                if not isinstance(numbers, list) or [type(number) for number in numbers] != [int] * 4:
                    raise ConfigurationError("Top, left, height and width have to be whole numbers, all four or none.")
                regions[camera] = Region(*numbers)
                regions[camera].check_inside(camera.removeprefix(IMAGES), *self._shapes[camera])
        except ConfigurationError as error:
            return web.json_response({"camera": camera, "text": str(error)}, status=422)
        except (ValueError, RecursionError):
            text = "The page sent no regions of this dataset's cameras; reload it."
            return web.json_response({"camera": None, "text": text}, status=422)
        self._regions = regions
        self._confirmed.set()
        return web.json_response({"cameras": len(regions)})
