"""Draws docs/images/crop.png: the page on which crop regions are chosen.

Records the dataset that it shows. Needs the extra `test` and Chromium; run it from the repository's top:
python docs/make_crop_images.py
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from gym_hil.cli import main as gym_hil
from gym_hil.cli.crop_page import CropPage
from gym_hil.datasets.reader import EpisodeDataset
from gym_hil.display import ConsoleOptions

TARGET = Path(__file__).parent / "images" / "crop.png"
REGIONS = {"front": ("40", "28", "84", "72"), "wrist": ("32", "16", "96", "96")}  # top, left, height, width in pixels


def main() -> None:
    """Record, open the page, and keep its image."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder) / "pick"
        words = ["record", "--repo-id", "local/pick", "--root", str(root), "--episodes", "3", "--device", "scripted"]
        gym_hil([*words, "--no-viewer"])
        asking = CropPage(EpisodeDataset(root), ConsoleOptions(port=0))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1120, "height": 760}, color_scheme="light")
        page.goto(asking.url)
        choose(page)
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
        asking.close()
    image.save(TARGET, optimize=True)
    print(f"{TARGET.name}: {image.width} x {image.height}, {TARGET.stat().st_size / 1000:.0f} kB")


def choose(page: Page) -> None:
    """Give both cameras a region, once their images are there."""
    for camera, numbers in REGIONS.items():
        page.wait_for_selector(f"#camera-{camera} img[src]")
        for field, number in zip(page.locator(f"#camera-{camera} input").all(), numbers, strict=True):
            field.fill(number)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
