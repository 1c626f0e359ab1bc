from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_hil.rendering import make_renderer
from tests.rendering.scenes import CHECKER, HALF_LIGHT, SKY, load

number = st.floats(-2, 2, allow_nan=False, width=32, allow_subnormal=False)
size = st.floats(0.015625, 3, width=32, allow_subnormal=False)
degrees = st.floats(-180, 180, width=32, allow_subnormal=False)
colour = st.floats(0, 1, width=32, allow_subnormal=False)


@st.composite
def shapes(sample: st.DrawFn) -> str:
    kind = sample(st.sampled_from(["box", "sphere", "capsule", "cylinder", "ellipsoid", "plane"]))
    three = {name: " ".join(str(sample(of)) for _ in range(3)) for name, of in (("pos", number), ("euler", degrees))}
    sizes = " ".join(str(sample(size)) for _ in range(3))
    rgba = " ".join(str(sample(colour)) for _ in range(4))
    return f'<geom type="{kind}" size="{sizes}" pos="{three["pos"]}" euler="{three["euler"]}" rgba="{rgba}"/>'


@settings(max_examples=25, deadline=None)
@given(
    world=st.lists(shapes(), max_size=6),
    eye=st.tuples(number, number, number, degrees, degrees, degrees),
    pixels=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    endless=st.booleans(),
    directional=st.booleans(),
    tilt=degrees,
)
def test_any_world_is_drawn_from_anywhere_and_always_the_same(world, eye, pixels, endless, directional, tilt):
    floor = (
        f'<geom type="plane" size="{"0 0 1" if endless else "2 1 1"}" euler="{tilt} 0 0" material="checker"/>'
        f'<light pos="0 0 1.5" dir="0 .3 -1" directional="{str(directional).lower()}"/>'
        '<light pos="1 0 1" castshadow="false"/>'
    )
    camera = f'pos="{eye[0]} {eye[1]} {eye[2]}" euler="{eye[3]} {eye[4]} {eye[5]}" fovy="70"'
    model, data = load(floor + "".join(world), camera=camera, assets=CHECKER + SKY, visual=HALF_LIGHT)
    renderers = [make_renderer("raster", model, *pixels) for _ in range(2)]
    # what stays of a view is kept with the second image, and is used from the third on
    images = [renderer.render(data, ["eye"])[0] for renderer in renderers for _ in range(4)]
    assert images[0].shape == (*pixels, 3)
    assert all(np.array_equal(images[0], image) for image in images)
