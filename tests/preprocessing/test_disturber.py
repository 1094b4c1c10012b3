import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sklenet.preprocessing import Disturber, Inverter

ONE_OF_EACH = {
    "rotation": 20,
    "shift": 1.5,
    "scale": 0.3,
    "squeeze": 0.2,
    "stroke": 0.5,
    "noise": 0.1,
    "occlusion": 3,
}


def make_bars(n, height=9, width=9):
    """Return images of a vertical bar with pixels of other values around it."""
    rng = np.random.default_rng(0)
    images = np.zeros((n, height, width))
    images[:, 2:-2, width // 2] = 1
    images[:, 1:-1, 1:-1] += rng.uniform(0, 1e-6, (n, height - 2, width - 2))
    return images


def test_without_strengths_images_are_unchanged(X):
    large = X.astype(np.int64) + 2**60
    assert np.array_equal(Disturber().fit_transform(large), large)


def test_shift_moves_an_image_by_whole_pixels_in_one_of_four_directions():
    images = make_bars(200)
    shifted = Disturber(shift=2).fit_transform(images)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    moved = {
        "down": padded[:, :9, 2:-2],
        "up": padded[:, 4:, 2:-2],
        "right": padded[:, 2:-2, :9],
        "left": padded[:, 2:-2, 4:],
    }
    is_there = np.array(
        [np.isclose(shifted, one, atol=1e-12).all(axis=(1, 2)) for one in moved.values()]
    )
    assert np.array_equal(is_there.sum(axis=0), np.ones(200))
    assert (is_there.sum(axis=1) > 25).all()


def test_a_rotation_by_a_right_angle_is_to_the_left_or_to_the_right():
    images = make_bars(100)
    rotated = Disturber(rotation=90).fit_transform(images)
    is_left = np.isclose(rotated, np.rot90(images, axes=(1, 2))).all(axis=(1, 2))
    is_right = np.isclose(rotated, np.rot90(images, -1, axes=(1, 2))).all(axis=(1, 2))
    assert (is_left != is_right).all()
    assert 25 < is_left.sum() < 75


def measure_extents(images):
    """Return the standard deviations of the places of the pixels, down and across."""
    rows, columns = np.indices(images.shape[1:])
    total = images.sum(axis=(1, 2))
    extents = []
    for places in (rows, columns):
        mean = (images * places).sum(axis=(1, 2)) / total
        square = (images * places**2).sum(axis=(1, 2)) / total
        extents.append(np.sqrt(square - mean**2))
    return np.array(extents)


def make_blobs(n):
    """Return images of a smooth spot, higher than wide, which differ a little."""
    rng = np.random.default_rng(0)
    y, x = np.indices((41, 41)) - 20
    spot = np.exp(-(y**2) / (2 * 5**2) - x**2 / (2 * 4**2))
    return spot * rng.uniform(0.9, 1, (n, 1, 1))


def test_scale_multiplies_both_sides_by_the_same_factor():
    images = make_blobs(50)
    ratio = measure_extents(Disturber(scale=0.25).fit_transform(images))
    ratio = ratio / measure_extents(images)
    assert np.allclose(ratio[0], ratio[1], rtol=0.02)
    grows = ratio[0] > 1
    assert np.allclose(ratio[:, grows], 1.25, rtol=0.02)
    assert np.allclose(ratio[:, ~grows], 0.75, rtol=0.02)
    assert 10 < grows.sum() < 40


def test_squeeze_keeps_the_area():
    images = make_blobs(50)
    ratio = measure_extents(Disturber(squeeze=0.25).fit_transform(images))
    ratio = ratio / measure_extents(images)
    assert np.allclose(ratio[0] * ratio[1], 1, rtol=0.02)
    is_wider = ratio[1] > 1
    assert np.allclose(ratio[1, is_wider], 1.25, rtol=0.02)
    assert np.allclose(ratio[1, ~is_wider], 0.75, rtol=0.02)
    assert 10 < is_wider.sum() < 40


@pytest.mark.parametrize("stroke", [1, 2, 1.25])
def test_stroke_is_a_dilation_or_an_erosion_and_averages_between_whole_numbers(stroke):
    images = np.random.default_rng(0).uniform(size=(40, 9, 9))
    changed = Disturber(stroke=stroke).fit_transform(images)
    cross = ndimage.generate_binary_structure(2, 1)
    whole, rest = divmod(stroke, 1)
    n_thicker = 0
    for image, result in zip(images, changed, strict=True):
        wanted = []
        for change in (ndimage.grey_dilation, ndimage.grey_erosion):
            one = image
            for _ in range(int(whole)):
                one = change(one, footprint=cross)
            wanted.append((1 - rest) * one + rest * change(one, footprint=cross))
        is_thicker = np.allclose(result, wanted[0])
        assert is_thicker or np.allclose(result, wanted[1])
        n_thicker += is_thicker
    assert 8 < n_thicker < 32


def test_a_huge_stroke_leaves_one_value():
    images = make_bars(10)
    changed = Disturber(stroke=1e9).fit_transform(images)
    assert (np.ptp(changed, axis=(1, 2)) == 0).all()


def test_noise_has_its_standard_deviation_and_stays_in_the_range():
    images = np.full((200, 20, 20), 5.0) + np.linspace(-0.01, 0.01, 200)[:, None, None]
    noisy = Disturber(noise=0.1, pixel_range=(0, 10)).transform(images)
    assert (noisy - images).std() == pytest.approx(1, rel=0.02)
    assert abs((noisy - images).mean()) < 0.02
    strong = Disturber(noise=2, pixel_range=(0, 10)).transform(images)
    assert strong.min() == 0
    assert strong.max() == 10


def test_occlusion_is_a_square_of_background_anywhere_inside():
    images = np.random.default_rng(0).uniform(1, 2, (300, 8, 10))
    images[:, [0, -1]] = images[:, :, [0, -1]] = 0.5
    occluded = Disturber(occlusion=3).fit_transform(images)
    is_changed = occluded != images
    assert (occluded[is_changed] == 0.5).all()
    # Squares that are not at the border are seen as a whole.
    n_pixels = is_changed.sum(axis=(1, 2))
    assert set(n_pixels) == {4, 6, 9}
    seen = is_changed.any(axis=0)
    assert seen[1:-1, 1:-1].all()
    whole = Disturber(occlusion=10).fit_transform(images)
    assert (whole == 0.5).all()


@pytest.mark.parametrize("name", ["rotation", "shift", "scale", "squeeze"])
def test_the_background_of_positives_and_negatives_is_their_own(name):
    images = (make_bars(30) * 200).astype(np.uint8)
    disturber = Disturber(**{name: ONE_OF_EACH[name]})
    negatives = disturber.fit_transform(Inverter(maximum=255).fit_transform(images))
    corners = negatives[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 255).all()
    assert (disturber.fit_transform(images)[:, [0, -1], [0, -1]] == 0).all()


def test_an_image_is_disturbed_alone_as_among_others(X):
    disturber = Disturber(**ONE_OF_EACH).fit(X)
    together = disturber.transform(X)
    assert np.array_equal(disturber.transform(X[7:8]), together[7:8])
    assert np.array_equal(disturber.transform(X[::-1])[::-1], together)
    assert len(np.unique(together, axis=0)) == len(np.unique(X, axis=0))


def test_a_disturbance_is_the_same_alone_and_with_others(X):
    shifted = Disturber(shift=2).fit_transform(X)
    both = Disturber(shift=2, occlusion=2).fit_transform(X)
    same = (both == shifted) | (both == 0)
    assert same.all()
    assert not np.array_equal(both, shifted)


def test_the_seed_determines_the_result(X):
    first, again, other = (
        Disturber(**ONE_OF_EACH, random_state=seed).fit_transform(X) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    anew = Disturber(**ONE_OF_EACH, random_state=None).fit(X)
    assert not np.array_equal(anew.transform(X), anew.transform(X))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_the_data_type_is_kept_and_does_not_change_the_directions(dtype, X):
    exact = Disturber(rotation=30, stroke=1, shift=1).fit_transform(X.astype(np.float64))
    out = Disturber(rotation=30, stroke=1, shift=1).fit_transform(X.astype(dtype))
    assert out.dtype == dtype
    error = 0.5 if np.issubdtype(dtype, np.integer) else 1e-5
    assert np.abs(out.astype(np.float64) - exact).max() <= error + 1e-9


def test_channels_are_disturbed_in_the_same_way(X):
    grey = X.reshape(-1, 1, 8, 8).astype(np.float64)
    colour = np.concatenate([grey, 2 * grey, 3 * grey + 1], axis=1)
    names = ("rotation", "shift", "scale", "squeeze", "stroke", "occlusion")
    strengths = {name: ONE_OF_EACH[name] for name in names}
    out = Disturber(**strengths).fit_transform(colour)
    assert np.allclose(out[:, 1], 2 * out[:, 0])
    assert np.allclose(out[:, 2], 3 * out[:, 0] + 1)
    assert not np.allclose(out, colour)


@given(
    shape=st.tuples(st.integers(1, 4), st.sampled_from([1, 3]), *[st.integers(1, 9)] * 2),
    data=st.data(),
)
@settings(deadline=None, max_examples=40)
def test_images_of_any_shape_keep_shape_type_and_range(shape, data):
    dtype = data.draw(st.sampled_from(["uint8", "int16", "float32", "float64"]))
    elements = st.integers(0, 200)
    X = data.draw(hnp.arrays(dtype, shape, elements=elements))
    n_axes = data.draw(st.sampled_from([2, 3, 4])) if shape[1] == 1 else 4
    if n_axes == 3:
        X = X[:, 0]
    elif n_axes == 2:
        X = X.reshape(len(X), -1)
    strengths = {
        name: data.draw(st.sampled_from([0, strength, 0.9]))
        for name, strength in ONE_OF_EACH.items()
        if name != "occlusion"
    }
    occlusion = data.draw(st.integers(0, 12))
    before = X.copy()
    disturber = Disturber(**strengths, occlusion=occlusion, image_shape=shape[1:])
    out = disturber.fit_transform(X)
    assert out.shape == X.shape
    assert out.dtype == X.dtype
    assert out.min() >= X.min() - 1e-4
    assert out.max() <= X.max() + 1e-4
    assert np.array_equal(X, before)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_largest_integers_do_not_overflow(dtype):
    largest = np.iinfo(dtype).max
    images = np.full((1, 5, 5), largest, dtype)
    assert (Disturber(rotation=10).transform(images) > largest * 0.999).all()
