import numpy as np
import pytest
from PIL import Image

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits, load_image_folder


@pytest.fixture
def folder(tmp_path):
    """A folder of real digits as PNG and JPEG files of several modes and sizes."""
    X, y = load_digits(return_X_y=True)
    modes = ["L", "RGB", "RGBA", "P", "LA", "1"]
    for k in range(60):
        image = Image.fromarray((X[k].reshape(8, 8) * 15.9375).astype(np.uint8))
        image = image.resize((8 + k, 8 + k), Image.Resampling.NEAREST)
        image = image.convert(modes[k % 6])
        (tmp_path / str(y[k])).mkdir(exist_ok=True)
        if k % 6 == 1:
            image.save(tmp_path / str(y[k]) / f"{k}.jpg", quality=95)
        else:
            image.save(tmp_path / str(y[k]) / f"{k}.png")
    return tmp_path


def test_images_of_several_formats_modes_and_sizes_are_loaded(folder):
    bunch = load_image_folder(folder)
    assert bunch.data.shape == (60, 784)
    assert bunch.data.dtype == np.uint8
    assert bunch.images.shape == (60, 28, 28)
    assert bunch.target_names.tolist() == sorted(set(bunch.target))
    assert bunch.skipped == []
    for name, label in zip(bunch.filenames, bunch.target, strict=True):
        assert name.split("/")[-2] == label
    digits = load_digits().data.reshape(-1, 8, 8) / 16
    for name, image in zip(bunch.filenames, bunch.images, strict=True):
        small = (
            np.asarray(Image.fromarray(image).resize((8, 8), Image.Resampling.BOX)) / 255
        )
        original = digits[int(name.split("/")[-1].split(".")[0])]
        assert np.corrcoef(small.ravel(), original.ravel())[0, 1] > 0.8


def test_a_classifier_is_trained_on_a_folder(folder):
    X, y = load_image_folder(folder, return_X_y=True)
    fitted = LeNet5Classifier(max_epochs=25, batch_size=16, random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.8
    assert fitted.classes_.dtype.kind == "U"


def test_images_are_read_as_rgb_on_request(tmp_path):
    (tmp_path / "red").mkdir()
    (tmp_path / "blue").mkdir()
    Image.new("RGB", (5, 5), "red").save(tmp_path / "red" / "a.PNG")
    Image.new("RGB", (50, 50), "blue").save(tmp_path / "blue" / "b.png")
    bunch = load_image_folder(tmp_path, image_shape=(3, 32, 32))
    assert bunch.images.shape == (2, 3, 32, 32)
    assert bunch.images[:, :, 3, 4].tolist() == [[0, 0, 255], [255, 0, 0]]
    assert bunch.target.tolist() == ["blue", "red"]


def test_images_of_the_desired_size_are_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    (tmp_path / "noise").mkdir()
    Image.fromarray(pixels).save(tmp_path / "noise" / "a.png")
    assert np.array_equal(load_image_folder(tmp_path).images[0], pixels)


def test_images_of_another_aspect_ratio_are_padded_with_the_colour_of_their_corners(
    tmp_path,
):
    (tmp_path / "wide").mkdir()
    wide = np.full((10, 40), 200, np.uint8)
    wide[3:7, 10:30] = 0
    Image.fromarray(wide).save(tmp_path / "wide" / "a.png")
    (image,) = load_image_folder(tmp_path, image_shape=(20, 20)).images
    assert (image[[0, 1, 18, 19]] == 200).all()
    assert image[9, 10] == 0


def test_transparent_images_get_a_white_or_black_background(tmp_path):
    (tmp_path / "clear").mkdir()
    for name, ink in (("a", 0), ("b", 255)):
        image = Image.new("RGBA", (28, 28), (ink, ink, ink, 0))
        image.paste((ink, ink, ink, 255), (10, 5, 14, 20))
        image.save(tmp_path / "clear" / f"{name}.png")
    dark, bright = load_image_folder(tmp_path).images
    assert (dark[0, 0], dark[10, 12]) == (255, 0)
    assert (bright[0, 0], bright[10, 12]) == (0, 255)
    Image.new("RGBA", (28, 28), (0, 0, 0, 0)).save(tmp_path / "clear" / "c.png")
    with pytest.raises(OSError, match="completely transparent"):
        load_image_folder(tmp_path)


def test_images_with_16_bits_per_pixel(tmp_path):
    (tmp_path / "deep").mkdir()
    ramp = np.linspace(0, 65535, 784).astype(np.uint16).reshape(28, 28)
    Image.fromarray(ramp).save(tmp_path / "deep" / "a.png")
    image = load_image_folder(tmp_path).images[0].astype(int)
    assert np.abs(image - ramp / 257).max() <= 1


def damage(folder):
    (folder / "0" / "text.png").write_text("not an image")
    (folder / "1" / "empty.jpg").write_bytes(b"")
    whole = next((folder / "2").glob("*.png"))
    (folder / "2" / "cut.png").write_bytes(whole.read_bytes()[:60])
    (folder / "3" / "gif.png").write_bytes(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;")
    return ["text.png", "empty.jpg", "cut.png", "gif.png"]


def test_unreadable_images_are_listed_in_one_error(folder):
    names = damage(folder)
    with pytest.raises(OSError, match="4 of 64 images cannot be read") as error:
        load_image_folder(folder)
    for name in names:
        assert name in str(error.value)


def test_unreadable_images_are_skipped_on_request(folder):
    names = damage(folder)
    bunch = load_image_folder(folder, on_error="skip")
    assert len(bunch.data) == 60
    assert sorted(file.split("/")[-1] for file, _ in bunch.skipped) == sorted(names)
    assert all(reason for _, reason in bunch.skipped)


def test_other_files_are_listed_and_hidden_ones_are_ignored(folder):
    (folder / "0" / "notes.txt").write_text("x")
    (folder / "labels.csv").write_text("x")
    (folder / "0" / "link").symlink_to(folder, target_is_directory=True)
    (folder / "0" / ".hidden.png").write_text("x")
    (folder / ".cache").mkdir()
    whole = sorted((folder / "0").glob("[0-9]*.png"))[0].read_bytes()
    for hidden in ("0/.ipynb_checkpoints", "0/deep/.hidden/deeper"):
        (folder / hidden).mkdir(parents=True)
        (folder / hidden / "a.png").write_bytes(whole)
    (folder / "0" / "deep" / "b.png").write_bytes(whole)
    bunch = load_image_folder(folder)
    assert len(bunch.data) == 61
    assert bunch.skipped == [
        (str(folder / "0" / "link"), "a symbolic link to a folder"),
        (str(folder / "0" / "notes.txt"), "its name has no image suffix"),
        (str(folder / "labels.csv"), "not in a sub-folder"),
    ]


def test_control_characters_in_names_are_escaped(folder):
    (folder / "0" / "a\x1b[31m.png").write_text("no image")
    with pytest.raises(OSError, match="cannot be read") as error:
        load_image_folder(folder)
    assert "a\\x1b[31m.png" in str(error.value)
    assert "\x1b" not in str(error.value)


def test_invalid_folders_and_parameters_are_rejected(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(OSError, match="is not a folder"):
        load_image_folder(empty / "none")
    with pytest.raises(ValueError, match="has no sub-folders"):
        load_image_folder(empty)
    (empty / "a").mkdir()
    with pytest.raises(ValueError, match="without images: a"):
        load_image_folder(empty)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        load_image_folder(folder, image_shape=(2, 28, 28))
    with pytest.raises(ValueError, match="'raise' or 'skip'"):
        load_image_folder(folder, on_error="ignore")
