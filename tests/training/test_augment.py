import time

import numpy as np
import pytest
import torch

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.datasets.torchvision_guard import import_torchvision
from sklenet.images.canvas import Canvas
from sklenet.network.kernels.compiler import load_layers
from sklenet.training.augment import AUGMENTATIONS, Augmenter, make_augmenter, read_augment

CANVAS = Canvas((1, 8, 8), 0, 16)
COLOR_CANVAS = Canvas((3, 8, 8), 0, 16)
FOR_COLOR = ("saturation", "hue")  # which do not change grey images


@pytest.fixture(autouse=True, params=["kernels", "torch"])
def way(request, monkeypatch):
    """Each test runs with the compiled kernels, and with torch as on a GPU."""
    if request.param == "torch":
        monkeypatch.setenv("SKLENET_COMPILED", "0")
    return request.param


@pytest.fixture(scope="module")
def images():
    return CANVAS(torch.from_numpy(load_digits().data[:64]))


def tint(digits):
    """Return rows of RGB images with a colour for each digit."""
    tints = np.random.RandomState(0).rand(len(digits), 3, 1)
    return (digits[:, None, :] * tints).reshape(len(digits), -1)


def augmented(images, augment, canvas=CANVAS, seed=0):
    return make_augmenter(augment, canvas, seed)(images)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_changes_samples_differently_and_leaves_the_batch_alone(name, images):
    if name in FOR_COLOR:
        assert torch.allclose(augmented(images, name), images, atol=1e-6)
        images = COLOR_CANVAS(torch.from_numpy(tint(load_digits().data[:64])))
    before = images.clone()
    state = torch.get_rng_state()
    out = augmented(images, name)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert out.shape == images.shape
    assert out.dtype == images.dtype
    assert -1e-6 <= out.min() <= out.max() <= 1 + 1e-6
    changed = (out != images).flatten(1).any(dim=1).float().mean()
    assert changed > 0.3
    # The same image twice in a batch is changed in two ways.
    twice = images[:1].repeat(32, 1, 1, 1)
    assert len(torch.unique(augmented(twice, name), dim=0)) > 1


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - set(FOR_COLOR)))
def test_seeded(name, images):
    first, second = (make_augmenter(name, CANVAS, seed=3) for _ in range(2))
    assert torch.equal(first(images), second(images))
    assert torch.equal(first(images), second(images))
    assert not torch.equal(first(images), first(images))


@pytest.mark.parametrize("feature_range", [(-0.1, 1.175), (-1, 1), (0.5, 2.5)])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_range_of_values_does_not_matter(name, feature_range):
    rows = torch.from_numpy(load_digits().data[:16])
    canvas = Canvas((1, 8, 8), 0, 16, feature_range)
    low, high = feature_range
    plain = augmented(CANVAS(rows), name)
    ranged = augmented(canvas(rows), name, canvas)
    assert torch.allclose((ranged - low) / (high - low), plain, atol=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "feature_range"),
    [(0, 16, (0, 1)), (0, 16, (-0.1, 1.175)), (0, 16, None), (-1.5, 2.5, None)],
)
def test_certain_inversion_is_the_negative_of_the_file(low, high, feature_range):
    canvas = Canvas((1, 8, 8), low, high, feature_range)
    rows = low + torch.from_numpy(load_digits().data[:16]) * (high - low) / 16
    inverted = augmented(canvas(rows), {"invert": 1.0}, canvas)
    assert torch.allclose(inverted, canvas(low + high - rows), atol=1e-6)
    assert torch.equal(augmented(canvas(rows), {"invert": 0.0}, canvas), canvas(rows))


def test_half_are_inverted(images):
    many = images.repeat(30, 1, 1, 1)
    out = augmented(many, "invert")
    part = (out != many).flatten(1).any(dim=1).float().mean().item()
    assert part == pytest.approx(0.5, abs=0.05)


def test_certain_flip_is_the_mirror_image(images):
    assert torch.equal(augmented(images, {"flip": 1.0}), images.flip(3))


def test_crop_is_a_shift_by_whole_pixels(images):
    twice = images[:1].repeat(200, 1, 1, 1)
    out = augmented(twice, {"crop": 2})
    shifts = {
        (dy, dx)
        for one in out
        for dy in range(-2, 3)
        for dx in range(-2, 3)
        if torch.equal(one, torch.roll(images[0], (dy, dx), (1, 2)))
    }
    # The digit has a border of 4: a roll is a shift. All 25 occur, and nothing else.
    assert len(shifts) == 25
    assert len(torch.unique(out, dim=0)) == 25


def centres(batch):
    """Return each image's centre of mass (x, y), from the middle of the canvas."""
    mass = batch.sum(dim=(1, 2, 3))
    axis = torch.arange(32) - 15.5
    x = (batch.sum(dim=(1, 2)) * axis).sum(dim=1) / mass
    y = (batch.sum(dim=(1, 3)) * axis).sum(dim=1) / mass
    return torch.stack([x, y])


def disc(x=0.0, y=0.0, radius=4.0, n=400):
    axis = torch.arange(32) - 15.5
    inside = (axis - x) ** 2 + (axis[:, None] - y) ** 2 < radius**2
    return inside.float().expand(n, 1, 32, 32)


def test_shift_is_uniform_up_to_its_amount():
    moved = centres(augmented(disc(), {"shift": 3}))
    assert moved.abs().max() < 3.01
    assert moved.std().item() == pytest.approx(3 / 3**0.5, rel=0.1)


def test_rotation_keeps_the_distance_and_turns_up_to_its_amount():
    turned = centres(augmented(disc(x=9), {"rotation": 30}))
    assert turned.norm(dim=0).sub(9).abs().max() < 0.2
    angles = torch.atan2(turned[1], turned[0]).rad2deg()
    assert 28 < angles.abs().max() < 30.5


def test_scale_and_squeeze_by_their_amounts():
    area = (
        augmented(disc(radius=8), {"scale": 0.2}).sum(dim=(1, 2, 3))
        / disc(radius=8)[0].sum()
    )
    assert area.min().item() == pytest.approx(0.8**2, abs=0.02)
    assert area.max().item() == pytest.approx(1.2**2, abs=0.02)
    squeezed = augmented(disc(radius=8), {"squeeze": 0.2})
    # Narrower and higher, or the reverse, the area about the same.
    width = (squeezed.amax(dim=(1, 2)) > 0.5).sum(dim=1)
    height = (squeezed.amax(dim=(1, 3)) > 0.5).sum(dim=1)
    assert torch.corrcoef(torch.stack([width, height]).float())[0, 1] < -0.9
    area = squeezed.sum(dim=(1, 2, 3)) / disc(radius=8)[0].sum()
    assert (area - 1).abs().max() < 0.03


def test_shear_moves_rows_sideways_only():
    sheared = centres(augmented(disc(y=8), {"shear": 0.3}))
    assert sheared[1].sub(8).abs().max() < 0.1
    assert 2.2 < sheared[0].abs().max() < 2.5


def test_elastic_displacement_is_smooth_and_of_simards_size():
    augmenter = Augmenter({"elastic": 34}, CANVAS, 0)
    augmenter(disc(n=2))
    kernels = load_layers()
    if kernels is None:
        field = augmenter._elastic_field(disc(n=200))
    else:
        fields = augmenter._elastic_fields(200, 32, 32, kernels.augmentation)
        field = torch.from_numpy(fields)
    # Uniform noise has the deviation 1/sqrt(3); a Gaussian of sigma 4 divides it by
    # 2 sqrt(pi) 4.
    expected = 34 / 3**0.5 / (2 * np.pi**0.5 * 4)
    assert field.std().item() == pytest.approx(expected, rel=0.05)
    assert field.diff(dim=3).std() < 0.3 * field.std()


def test_cutout_blanks_a_square():
    out = augmented(torch.ones(300, 1, 32, 32), {"cutout": 8})
    blank = (out == 0).sum(dim=(1, 2, 3))
    assert blank.max() == 64
    assert blank.min() >= 16


@pytest.mark.parametrize("feature_range", [(0.0, 1.0), (-0.1, 1.175), None])
@pytest.mark.parametrize("side", [20, 40])
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_change_as_in_torchvision(feature_range, side, channels, monkeypatch):
    functional = import_torchvision().transforms.functional
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(8, channels, side, side, generator=generator, dtype=torch.float64)
    pixels[0] = 0.5  # without any chroma
    factors = torch.rand(8, 4, generator=generator, dtype=torch.float64) * 2
    factors[:, 3] = factors[:, 3] / 2 - 0.5
    expected = []
    for image, (brightness, contrast, saturation, hue) in zip(
        pixels, factors.tolist(), strict=True
    ):
        image = functional.adjust_brightness(image, brightness)
        image = functional.adjust_contrast(image, contrast)
        image = functional.adjust_saturation(image, saturation)
        expected.append(functional.adjust_hue(image, hue))

    canvas = Canvas((channels, side, side), -2, 3, feature_range)
    rows = pixels.flatten(1) * 5 - 2
    augmenter = make_augmenter("color_jitter", canvas, 0)
    monkeypatch.setattr(
        augmenter,
        "_color_factors",
        lambda numbers: factors.float() if torch.is_tensor(numbers) else factors.numpy(),
    )
    found = augmenter(canvas(rows).float())
    assert found.shape == (8, *canvas.shape)
    changed = torch.stack(expected).flatten(1) * 5 - 2
    # The border of the canvas is compared, too.
    torch.testing.assert_close(found, canvas(changed).float(), rtol=0, atol=2e-5)


def test_colour_jitter_draws_its_factors_as_torchvision_does():
    strength = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    augmenter = make_augmenter({"color_jitter": 1}, COLOR_CANVAS, 0)
    assert augmenter.amounts == strength
    assert make_augmenter(["color_jitter", {"hue": 0.3}], COLOR_CANVAS, 0).amounts == (
        strength | {"hue": 0.3}
    )
    jitter = import_torchvision().transforms.ColorJitter(**strength)
    low, high = (augmenter._color_factors(np.full((1, 4), end))[0] for end in (-1.0, 1.0))
    for k, name in enumerate(strength):
        assert (low[k], high[k]) == pytest.approx(getattr(jitter, name))


def test_colours_of_constant_images_do_not_change():
    for feature_range in (None, (0.0, 1.0)):
        canvas = Canvas((3, 8, 8), 7, 7, feature_range)
        images = canvas(torch.full((4, 192), 7.0))
        assert torch.isfinite(augmented(images, "color_jitter", canvas)).all()


def test_numbers_for_other_augmentations_do_not_depend_on_colours(images, way):
    if way == "torch":
        pytest.skip("torch draws all numbers from one sequence")
    grey = ["flip", "shift", {"hue": 0.5}]
    assert torch.allclose(
        augmented(images, grey), augmented(images, ["flip", "shift"]), atol=1e-6
    )


def test_several_at_once_and_amounts():
    assert read_augment(None) == {}
    assert read_augment("flip") == {"flip": 0.5}
    assert read_augment({"shift": 3, "invert": 0.1}) == {"shift": 3, "invert": 0.1}
    assert read_augment(["flip", {"shift": 3}]) == {"flip": 0.5, "shift": 3}
    numbers = read_augment({"cutout": np.int64(4), "shift": np.float32(0.5)})
    assert [(type(number), number) for number in numbers.values()] == [
        (int, 4),
        (float, 0.5),
    ]
    assert make_augmenter(None, CANVAS, 0) is None


def test_too_much_is_refused_at_once_and_in_few_words():
    start = time.process_time()
    long = "x" * 1_000_000
    for augment in (
        ["flip"] * 1_000_000,
        ({"shift": 1.0},) * 1_000_000,
        {f"shift{k}": 1.0 for k in range(100_000)},
        [{long: 1.0}],
        [["flip"] * 1_000_000],
        {"shift": [1.0] * 1_000_000},
        {"shift": long},
        {3: 1.0},
    ):
        with pytest.raises(ValueError, match="The 'augment' parameter") as error:
            read_augment(augment)
        assert len(str(error.value)) < 400
    assert time.process_time() - start < 1


def test_colour_images_on_a_larger_canvas():
    canvas = Canvas((3, 40, 36), 0, 255)
    images = torch.rand(5, *canvas.shape)
    out = augmented(images, list(AUGMENTATIONS), canvas)
    assert out.shape == images.shape
    # All channels move together.
    grey = images[:, :1].repeat(1, 3, 1, 1)
    moved = augmented(grey, ["rotation", "elastic", "crop"], canvas)
    assert torch.equal(moved[:, 0], moved[:, 1])


def test_batches_of_other_sizes_change_images_in_the_same_way(images, way):
    if way == "torch":
        pytest.skip("torch's numbers depend on the batches")
    augment = list(AUGMENTATIONS)
    whole = augmented(images, augment)
    augmenter = make_augmenter(augment, CANVAS, 0)
    parts = [augmenter(part) for part in images.split(17)]
    assert torch.equal(torch.cat(parts), whole)


# In the classifier


def test_bytes_are_augmented_as_other_types_are(small):
    X, y = small
    augment = ["flip", "crop", "lecun1998", "elastic", "invert", "cutout"]
    fits = [
        LeNet5Classifier(augment=augment, **QUICK).fit(pixels, y).predict_proba(X)
        for pixels in (X.astype(np.uint8), X.astype(np.int16))
    ]
    assert np.array_equal(*fits)


@pytest.fixture(scope="module")
def small():
    X, y = load_digits(return_X_y=True)
    return X[:200], y[:200]


QUICK = {"max_epochs": 3, "batch_size": 16, "random_state": 0}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_training_with_each_repeats_on_any_number_of_threads(name, small):
    X, y = small
    if name in FOR_COLOR:
        X = tint(X).reshape(-1, 3, 8, 8)
    threads = torch.get_num_threads()
    try:
        outputs = []
        for n in (1, 2):
            torch.set_num_threads(n)
            outputs.append(
                LeNet5Classifier(augment=name, **QUICK).fit(X, y).predict_proba(X)
            )
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(*outputs)
    assert not np.array_equal(
        outputs[0], LeNet5Classifier(**QUICK).fit(X, y).predict_proba(X)
    )


def test_never_on_validation_or_test_data(small):
    X, y = small
    # With no step at all to speak of, only augmentation could change what is seen.
    fitted = LeNet5Classifier(**QUICK, augment={"cutout": 32}, lr=1e-30)
    fitted.fit(X, y, X_val=X, y_val=y)
    valid = {round(row["valid_loss"], 6) for row in fitted.history_}
    train = {round(row["train_loss"], 6) for row in fitted.history_}
    assert len(valid) == 1
    assert len(train) == 3
    assert np.array_equal(fitted.predict_proba(X), fitted.predict_proba(X))


def test_inversion_teaches_negatives(small):
    X, y = small
    settings = {"max_epochs": 20, "batch_size": 16, "random_state": 0}
    plain = LeNet5Classifier(**settings).fit(X, y)
    both = LeNet5Classifier(**settings, augment="invert").fit(X, y)
    assert plain.score(16 - X, y) < 0.6
    assert both.score(16 - X, y) > 0.9


def test_grids_can_search_it(small):
    from sklearn.model_selection import GridSearchCV

    grid = {"augment": [None, "shift", {"shift": 3.0}, ["flip", {"invert": 0.2}]]}
    search = GridSearchCV(LeNet5Classifier(**QUICK), grid, cv=2).fit(*small)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_feature_range_reaches_the_network(small):
    X, y = small
    paper = LeNet5Classifier(**QUICK, feature_range=(-0.1, 1.175)).fit(X, y)
    canvas = paper.canvas_(torch.from_numpy(X))
    assert canvas.min().item() == pytest.approx(-0.1)
    assert canvas.max().item() == pytest.approx(1.175)
    assert (canvas[:, :, :4] == canvas.min()).all()
    # None leaves pixels, and their scaling to a transformer.
    as_is = LeNet5Classifier(**QUICK, feature_range=None).fit(X / 16, y)
    scaled = LeNet5Classifier(**QUICK).fit(X, y)
    assert np.allclose(as_is.predict_proba(X / 16), scaled.predict_proba(X), atol=1e-4)
