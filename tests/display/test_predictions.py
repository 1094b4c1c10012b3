import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn_pages import draw_sevens
from PIL import Image

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.display import PredictionDisplay
from sklenet.framing import frame_digit, read_line
from sklenet.framing.digits import locate_digits


@pytest.fixture(scope="module")
def model():
    X, y = load_digits(return_X_y=True)
    return LeNet5Classifier(max_epochs=3, lr=0.003, random_state=0, framing="digit").fit(
        X, y
    )


@pytest.fixture
def save(tmp_path):
    """A function that writes an image and returns the path as text."""

    def write(pixels, name="image.png"):
        Image.fromarray(np.asarray(pixels, np.uint8)).save(tmp_path / name)
        return str(tmp_path / name)

    return write


def texts_of(figure):
    texts = [text for ax in figure.axes for text in ax.texts]
    titles = [
        ax.get_title(where) for ax in figure.axes for where in ("left", "center", "right")
    ]
    return "\n".join([*(text.get_text() for text in texts), *titles])


def draw(display):
    """Draw the figure; a warning about its layout is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", r"'\w+' (argument is )?deprecated")
        display.figure_.canvas.draw()


def test_a_digit_is_shown_as_found_as_framed_and_as_predicted(model, save):
    page = draw_sevens(150, width=300)
    display = PredictionDisplay.from_files(model, [save(page)])
    draw(display)
    (file,) = display.files
    assert file.error is None
    assert np.array_equal(file.page, page)
    (box,) = file.boxes
    assert np.allclose(box, (150, 80, 60, 90), atol=4)
    (rectangle,) = display.axes_[0, 0].patches
    assert rectangle.get_bbox().bounds == pytest.approx(np.subtract(box, (0.5, 0.5, 0, 0)))
    framed = frame_digit(page, (8, 8)) / 255
    # Digits of 8x8 pixels are enlarged to 24x24, in the middle of 32x32.
    assert file.inputs.shape == (1, 1, 32, 32)
    assert np.allclose(file.inputs[0, 0, 4:28, 4:28], np.kron(framed, np.ones((3, 3))))
    expected = model.predict_proba(framed.reshape(1, -1) * 16)
    assert np.allclose(file.probabilities, expected, atol=1e-6)
    bars = [bar.get_width() for bar in display.axes_[0, 2].patches]
    assert np.allclose(bars, expected[0], atol=1e-6)
    label = f"{expected.argmax()} ({expected.max():.3f})"
    assert display.axes_[0, 2].get_title("right") == label


def test_a_line_has_a_row_for_each_digit(model, save):
    path = save(draw_sevens(100, 220, 340, width=460))
    display = PredictionDisplay.from_files(model, [path, path], framing="line")
    draw(display)
    assert display.axes_.shape == (6, 3)
    for file in display.files:
        lefts = [box[0] for box in file.boxes]
        assert np.allclose(lefts, [100, 220, 340], atol=4)
        expected = model.predict_proba(read_line(path, (1, 8, 8)) / 255 * 16)
        assert np.allclose(file.probabilities, expected, atol=1e-6)
    number = "".join(map(str, expected.argmax(axis=1)))
    assert display.axes_[3, 0].get_title().endswith(f"\n{number}")
    heights = [display.axes_[k, 0].get_subplotspec().rowspan for k in (0, 3)]
    assert heights == [range(3), range(3, 6)]


def test_the_reason_for_a_rejection_is_shown_next_to_what_was_found(model, save, tmp_path):
    (tmp_path / "text.png").write_text("this is no image at all")
    files = [
        save(draw_sevens(100, 300), "two.png"),
        save(np.full((60, 80), 200), "blank.png"),
        str(tmp_path / "text.png"),
        str(tmp_path / "missing.png"),
    ]
    display = PredictionDisplay.from_files(model, files)
    draw(display)
    assert len(display.files[0].boxes) == 2
    assert [len(file.inputs) for file in display.files] == [0] * 4
    assert [file.page is None for file in display.files] == [False, False, True, True]
    shown = texts_of(display.figure_).replace("\n", " ")
    for reason in ("2 digits found", "no digit found", "not an image", "No such file"):
        assert reason in shown


def test_images_of_the_training_size_and_whole_images_have_no_box(model, save):
    digit = load_digits().data[0].reshape(8, 8) / 16 * 255
    small = PredictionDisplay.from_files(model, [save(digit)])
    assert small.files[0].boxes == []
    assert np.allclose(
        small.files[0].inputs[0, 0, 4:28:3, 4:28:3] * 255, digit.astype(np.uint8)
    )
    page = save(draw_sevens(100))
    assert PredictionDisplay.from_files(model, [page], framing="whole").files[0].boxes == []


def test_a_large_photo_is_reduced_with_its_box(model, save):
    page = np.kron(draw_sevens(150, width=300), np.ones((8, 8)))
    display = PredictionDisplay.from_files(model, [save(page)])
    (file,) = display.files
    assert max(file.page.shape) == 480
    factor = 480 / 300
    assert np.allclose(file.boxes[0], np.multiply((150, 80, 60, 90), factor), atol=8)
    assert np.allclose(
        locate_digits(page.astype(np.uint8))[0], (1200, 640, 480, 720), atol=40
    )


def test_of_many_classes_the_most_probable_ones_are_shown(save):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 3, 16, 20), dtype=np.uint8)
    labels = np.array([f"${k} a long class name" for k in range(100)])[np.arange(200) % 100]
    model = LeNet5Classifier(max_epochs=1, random_state=0).fit(images, labels)
    path = save(images[0].transpose(1, 2, 0))
    display = PredictionDisplay.from_files(model, [path])
    draw(display)
    (file,) = display.files
    assert file.page.shape == (16, 20, 3)
    bars = [bar.get_width() for bar in display.axes_[0, 2].patches]
    assert bars == np.sort(file.probabilities[0])[::-1][:10].tolist()
    assert np.allclose(file.probabilities, model.predict_proba(images[:1]), atol=1e-6)
    best = model.classes_[file.probabilities[0].argmax()]
    tick = display.axes_[0, 2].get_yticklabels()[0].get_text()
    assert tick == best[:17].replace("$", r"\$") + "…"


def test_only_as_many_files_as_can_be_drawn_are_read(model, save, monkeypatch):
    monkeypatch.setattr("sklenet.display.predictions._MAX_ROWS", 3)
    path = save(draw_sevens(100, 220))
    display = PredictionDisplay.from_files(model, [path] * 5, framing="line")
    assert display.names == [path]
    display = PredictionDisplay.from_files(model, [path] * 5)
    assert display.names == [path] * 3


def test_unknown_framings_and_unfitted_estimators_are_rejected(model):
    with pytest.raises(ValueError, match=r"'framing' parameter must be .* Got 'photo'"):
        PredictionDisplay.from_files(model, [], framing="photo")
    with pytest.raises(ValueError, match="not fitted"):
        PredictionDisplay.from_files(LeNet5Classifier(), [])


def test_given_axes_and_no_files(model, save):
    figure, (left, _) = plt.subplots(1, 2)
    display = PredictionDisplay.from_files(model, [save(draw_sevens(100))], ax=left)
    assert display.figure_ is figure
    assert display.ax_ is left
    assert PredictionDisplay.from_files(model, []).names == []
