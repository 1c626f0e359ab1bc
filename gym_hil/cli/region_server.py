"""What the page that asks for regions gets from the server, and what it may send.

- `GET /cameras`: `{"dataset": name, "episodes": count, "cameras": [{"key", "name", "height", "width"}]}`
- `GET /image/EPISODE/CAMERA`: the episode's first image of a camera, by its place in that list, as JPEG
- `POST /regions`: `{key: [top, left, height, width]}` in whole pixels, without the cameras that are left as they are.
  Answered by 200 when that ends the asking, else by 422 and `{"camera": key or null, "text": what is wrong}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import simplejpeg
from aiohttp import web

from gym_hil.console.access import Access
from gym_hil.console.page_server import PageServer
from gym_hil.datasets.features import IMAGES
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.errors import ConfigurationError, GymHilError

QUALITY = 95  # of JPEG; pixels are looked at one by one


class RegionServer(PageServer):
    """Serves the page. Lives in the loop of its site.

    Args:
        access: who may come.
        dataset: whose first images are shown.
        shapes: feature -> height and width of its images.
        take: is given the regions when they are confirmed.
    """

    PAGE = "regions.html"
    OWN_PAGE_ONLY = frozenset({"/regions"})

    def __init__(
        self,
        access: Access,
        dataset: EpisodeDataset,
        shapes: Mapping[str, tuple[int, ...]],
        take: Callable[[Mapping[str, Region]], None],
    ):
        super().__init__(access)
        self._dataset, self._shapes, self._take = dataset, shapes, take

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """See `PageServer`."""
        router.add_get("/cameras", self._cameras)
        router.add_get("/image/{episode:[0-9]{1,9}}/{camera:[0-9]{1,3}}", self._image)
        router.add_post("/regions", self._regions)

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

    async def _regions(self, request: web.Request) -> web.StreamResponse:
        try:
            regions = self._understand(await request.text())
        except RefusedRegionError as error:
            return web.json_response({"camera": error.camera, "text": str(error)}, status=422)
        self._take(regions)
        # The site ends now, but not before this answer is out.
        return web.json_response({"cameras": len(regions)})

    def _understand(self, text: str) -> dict[str, Region]:
        try:
            wanted = json.loads(text)
        except (ValueError, RecursionError):
            wanted = None
        if not isinstance(wanted, dict):
            raise RefusedRegionError(None, "The page sent something that is no regions; load it again.")
        return {key: self._region(key, numbers) for key, numbers in wanted.items()}

    def _region(self, key: str, numbers: Any) -> Region:
        if key not in self._shapes:
            raise RefusedRegionError(None, f"There is no camera {key!r}; load the page again.")
        # bool is a kind of int in Python, but no number to an operator.
        if not isinstance(numbers, list) or len(numbers) != 4 or any(type(number) is not int for number in numbers):
            raise RefusedRegionError(key, "Top, left, height and width have to be whole numbers, all four or none.")
        region = Region(*numbers)
        try:
            region.check_inside(key.removeprefix(IMAGES), *self._shapes[key])
        except ConfigurationError as error:
            raise RefusedRegionError(key, str(error)) from error
        return region


class RefusedRegionError(ConfigurationError):
    """What the page sent is no region of a camera's image.

    Args:
        camera: feature, or None if it is not about one.
        text: what is wrong with it.
    """

    def __init__(self, camera: str | None, text: str):
        super().__init__(text)
        self.camera = camera
