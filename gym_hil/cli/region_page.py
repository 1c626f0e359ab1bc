"""A page in the browser on which an operator draws a rectangle on each camera's image. Needs the extra `web`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gym_hil.console.access import Access
from gym_hil.console.site import Site
from gym_hil.datasets.images import Region
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.errors import DeviceError

if TYPE_CHECKING:
    from gym_hil.cli.region_server import RegionServer

_LOOK = 0.2  # s; on Windows Ctrl-C is heard only between two waits


def choose_regions_on_page(dataset: EpisodeDataset, **options: Any) -> dict[str, Region]:
    """Ask for the region of each camera; prints the page's link and waits for the operator to confirm.

    Args:
        dataset: with one episode or more, whose first images are shown.
        **options: where to listen; see `Site`.

    Returns:
        Feature -> region, of the cameras that are not left as they are.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        ConfigurationError: other machines may not be let in like this.
        DatasetError: the first images cannot be read.
        DeviceError: the address cannot be listened at.
    """
    page = RegionPage(dataset, **options)
    try:
        print(page.announcement(), file=sys.stderr, flush=True)
        return page.wait()
    finally:
        page.close()


class RegionPage(Site):
    """The server of the page.

    Args:
        dataset: with one episode or more, whose first images are shown.
        **options: where to listen; see `Site`.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        ConfigurationError: other machines may not be let in like this.
        DatasetError: the first images cannot be read.
        DeviceError: the address cannot be listened at.
    """

    LABEL = "Choose the regions"

    def __init__(self, dataset: EpisodeDataset, **options: Any):
        self.dataset = dataset
        # Read here, what is wrong with them is said where the command was given.
        self.shapes = {key: dataset[0].image(key, 0).shape[:2] for key in dataset.video_keys}
        self._chosen: dict[str, Region] = {}
        self._confirmed = threading.Event()
        super().__init__(**options)

    def make_server(self, access: Access) -> RegionServer:
        """See `Site`."""
        from gym_hil.cli.region_server import RegionServer

        return RegionServer(access, self.dataset, self.shapes, self._take)

    @property
    def confirmed(self) -> bool:
        """Whether the operator has confirmed the regions."""
        return self._confirmed.is_set()

    def wait(self) -> dict[str, Region]:
        """The regions, once the operator has confirmed them.

        Raises:
            DeviceError: the server has ended before.
        """
        while not self._confirmed.wait(_LOOK):
            if not self.running:
                raise DeviceError("The page's server has ended before the regions were confirmed. Try again.")
        return self._chosen

    def _take(self, regions: Mapping[str, Region]) -> None:
        self._chosen = dict(regions)
        self._confirmed.set()
