"""The files of the page, as they are shipped."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files

import pytest

STATIC = files("gym_hil.console") / "static"
VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
OWN = sorted(path.name for path in STATIC.iterdir() if path.is_file())
# Names of XML namespaces, which are not requested.
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}


@pytest.mark.parametrize("name", MANIFEST["sha256"])
def test_a_library_is_the_one_that_was_built(name):
    # Git may have turned the ends of lines into those of the system.
    text = (VENDOR / name).read_text(encoding="utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() == MANIFEST["sha256"][name]


def test_every_library_comes_with_its_licence():
    licences = (VENDOR / "LICENSES.txt").read_text(encoding="utf-8")
    for name, about in MANIFEST["libraries"].items():
        assert f"{name} {about['version']}" in licences
    assert licences.count("Permission is hereby granted") == len(MANIFEST["libraries"])


@pytest.mark.parametrize("name", [*OWN, "vendor/three.js", "vendor/nipplejs.js"])
def test_no_file_names_another_host(name):
    text = (STATIC / name).read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[\w.-]+[\w./-]*", text)) <= NAMESPACES


@pytest.mark.parametrize("name", [name for name in OWN if name.endswith(".html")])
def test_a_page_has_no_inline_script_or_style(name):
    page = (STATIC / name).read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []


@pytest.mark.parametrize("name", [name for name in OWN if name.endswith(".js")])
def test_every_module_is_used(name):
    others = [(STATIC / other).read_text(encoding="utf-8") for other in OWN if other != name]
    assert any(name in text for text in others)
