import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from sklenet import LeNet5Classifier
from sklenet.cli import main
from sklenet.datasets import fetch_fashion_mnist, load_digits, load_image_folder
from sklenet.framing import read_line


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    options = ["--max-epochs", "6", "--batch-size", "32", "--lr", "0.002"]
    augment = ["--augment", "[{ shift = 1.0 }]", "--quiet"]
    assert main(["fit", "--data", "digits", "--out", str(path), *options, *augment]) == 0
    return path


@pytest.fixture
def paper(tmp_path):
    """A function that writes a digit as ink on paper and returns the path."""

    def write(row, name="digit.png", margin=80):
        image = Image.fromarray((row.reshape(8, 8) * 15).astype(np.uint8))
        ink = np.asarray(image.resize((240, 240), Image.Resampling.BICUBIC), dtype=float)
        page = np.full((240 + 2 * margin, 240 + 2 * margin), 235.0)
        page[margin:-margin, margin:-margin] -= ink * 0.8
        Image.fromarray(page.clip(0, 255).astype(np.uint8)).save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.mark.parametrize("key", ["0", '"0"'])
def test_class_weights_by_label_on_the_command_line(tmp_path, key):
    path = tmp_path / "model"
    options = ["--max-epochs", "1", "--batch-size", "128", "--quiet"]
    weights = f"{{ {key} = 5.0, 1 = 0.5 }}"
    command = ["fit", "--data", "digits", "--out", str(path), *options]
    assert main([*command, "--class-weight", weights]) == 0
    fitted = LeNet5Classifier.load(path)
    by_number = LeNet5Classifier(
        max_epochs=1, batch_size=128, class_weight={0: 5.0, 1: 0.5}, random_state=0
    )
    X, y = load_digits(return_X_y=True)
    expected = by_number.fit(X, y).predict_proba(X[:50])
    assert np.array_equal(fitted.predict_proba(X[:50]), expected)


def test_data_lists_the_data_sets(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path))
    assert main(["data"]) == 0
    stdout = capsys.readouterr().out
    assert "digits          1,437 training and 360 test images" in stdout
    assert "mnist           not available; to download it: sklenet data mnist" in stdout
    assert main(["data", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["digits"] == {"here": True, "train": 1437, "test": 360}
    assert not rows["cifar10"]["here"]
    assert list(tmp_path.iterdir()) == []


def test_fit_trains_the_same_model_as_the_estimator(model):
    X, y = load_digits(return_X_y=True)
    expected = LeNet5Classifier(
        max_epochs=6, batch_size=32, lr=0.002, augment=[{"shift": 1.0}], random_state=0
    ).fit(X, y)
    X_test = load_digits(subset="test").data
    loaded = LeNet5Classifier.load(model)
    assert np.array_equal(loaded.predict_proba(X_test), expected.predict_proba(X_test))


def test_fit_reports_the_test_accuracy(tmp_path, capsys):
    arguments = ["--data", "digits", "--out", str(tmp_path / "m"), "--max-epochs", "1"]
    assert main(["fit", *arguments, "--json", "--quiet"]) == 0
    stdout, stderr = capsys.readouterr()
    assert stderr == ""
    values = json.loads(stdout)
    test = load_digits(subset="test", return_X_y=True)
    assert values["test_accuracy"] == LeNet5Classifier.load(tmp_path / "m").score(*test)
    assert values["n_parameters"] == 61_706


def test_ink_on_paper_and_its_negative_have_the_same_prediction(
    model, paper, tmp_path, capsys
):
    X, _ = load_digits(subset="test", return_X_y=True)
    files = []
    for k, row in enumerate(X[:10]):
        files.append(paper(row, f"{k}.png"))
        negative = ImageOps.invert(Image.open(files[-1]))
        negative.save(tmp_path / f"negative {k}.png")
        files.append(tmp_path / f"negative {k}.png")
    assert main(["predict", str(model), *map(str, files), "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    assert [prediction["image"] for prediction in predictions] == [
        str(file) for file in files
    ]
    for prediction, negative in zip(predictions[::2], predictions[1::2], strict=True):
        assert prediction["probabilities"] == pytest.approx(
            negative["probabilities"], abs=0.05
        )
        assert sum(prediction["probabilities"].values()) == pytest.approx(1)
        best = max(prediction["probabilities"], key=prediction["probabilities"].get)
        assert best == str(prediction["label"])


def test_predict_accepts_images_of_the_size_of_the_training_images(model, tmp_path, capsys):
    X, _ = load_digits(subset="test", return_X_y=True)
    files = []
    for k, row in enumerate(X[:30]):
        files.append(str(tmp_path / f"{k}.png"))
        pixels = (row.reshape(8, 8) / 16 * 255).round().astype(np.uint8)
        # The embedded digits fill their frame: polarity can be recognised only for those
        # with a dark border.
        Image.fromarray(pixels).save(files[-1])
    assert main(["predict", str(model), *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 30
    predictions = [int(line.split(": ")[1].split()[0]) for line in lines]
    expected = LeNet5Classifier.load(model).predict(X[:30])
    assert (predictions == expected).mean() > 0.9


def test_fit_on_a_folder_of_custom_images(tmp_path, capsys):
    X, y = load_digits(return_X_y=True)
    for k in range(120):
        if y[k] < 2:
            folder = tmp_path / "custom" / f"is {y[k]}"
            folder.mkdir(parents=True, exist_ok=True)
            # Dark on bright, as most scans are.
            pixels = 255 - (X[k].reshape(8, 8) * 15).astype(np.uint8)
            Image.fromarray(pixels).resize((60, 60)).save(folder / f"{k}.png")
    out = str(tmp_path / "model")
    options = ["--size", "28", "--max-epochs", "20", "--batch-size", "8", "--quiet"]
    assert main(["fit", "--data", str(tmp_path / "custom"), "--out", out, *options]) == 0
    assert LeNet5Classifier.load(out).classes_.tolist() == ["is 0", "is 1"]
    assert capsys.readouterr().out.startswith(f"{out}: 20 epochs")
    image = next((tmp_path / "custom" / "is 1").iterdir())
    assert main(["predict", out, str(image), "--framing", "whole"]) == 0
    assert "is 1 (" in capsys.readouterr().out.split(": ")[1]


def write_in_several_formats(folder, images, labels):
    """Write grey images in several formats, sizes, depths, orientations and polarities."""
    exif = Image.Exif()
    exif[0x0112] = 6
    writers = [
        lambda image, name: image.save(f"{name}.png"),
        lambda image, name: image.resize((90, 60)).save(f"{name}.jpg", quality=90),
        lambda image, name: image.resize((28, 28)).save(f"{name}.bmp"),
        lambda image, name: image.resize((50, 300)).convert("RGB").save(f"{name}.webp"),
        lambda image, name: image.rotate(90).save(f"{name}.tif", exif=exif),
        lambda image, name: ImageOps.invert(image).save(f"{name}.gif"),
        lambda image, name: Image.fromarray(np.asarray(image).astype(np.uint16) * 257).save(
            f"{name}.png"
        ),
        lambda image, name: Image.merge("LA", [image, image]).save(f"{name}.png"),
        lambda image, name: image.resize((64, 64)).convert("CMYK").save(f"{name}.jpg"),
    ]
    for k, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels).resize((24 + k % 30, 24 + k % 30))
        writers[k % len(writers)](image, folder / str(label) / str(k))


@pytest.mark.parametrize("options", [[], ["--colour", "--size", "32"], ["--size", "20"]])
@pytest.mark.parametrize("invert", [False, True])
def test_predictions_of_files_equal_those_of_their_folder(
    options, invert, tmp_path, capsys
):
    X, y = load_digits(return_X_y=True)
    images = (X[:90] * 15).astype(np.uint8).reshape(-1, 8, 8)
    write_in_several_formats(
        tmp_path / "custom", 255 - images if invert else images, y[:90]
    )
    out = str(tmp_path / "model")
    fit = ["--data", str(tmp_path / "custom"), "--out", out, "--max-epochs", "3", *options]
    assert main(["fit", *fit, "--batch-size", "16", "--quiet"]) == 0
    assert capsys.readouterr().err == ""

    classifier = LeNet5Classifier.load(out)
    assert classifier.framing == "whole"
    channels, *size = classifier.image_shape_
    shape = (channels, *size) if channels == 3 else tuple(size)
    bunch = load_image_folder(tmp_path / "custom", image_shape=shape)
    assert len(bunch.filenames) == 90
    assert main(["predict", out, *bunch.filenames, "--json"]) == 0
    stdout, stderr = capsys.readouterr()
    assert stderr == ""
    predictions = json.loads(stdout)["predictions"]
    labels = [prediction["label"] for prediction in predictions]
    assert labels == classifier.predict(bunch.data).tolist()
    probabilities = [list(p["probabilities"].values()) for p in predictions]
    assert np.array_equal(probabilities, classifier.predict_proba(bunch.data))


def test_fit_on_a_folder_of_pages_with_framing_digit(paper, tmp_path, capsys):
    X, y = load_digits(return_X_y=True)
    files = []
    for k in range(40):
        (tmp_path / "pages" / str(y[k])).mkdir(parents=True, exist_ok=True)
        files.append(str(paper(X[k], f"pages/{y[k]}/{k}.png")))
    out = str(tmp_path / "model")
    fit = ["--data", str(tmp_path / "pages"), "--out", out, "--framing", "digit"]
    assert main(["fit", *fit, "--max-epochs", "15", "--batch-size", "8", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert LeNet5Classifier.load(out).framing == "digit"
    assert main(["predict", out, *files, "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    right = [p["label"] == str(label) for p, label in zip(predictions, y[:40], strict=True)]
    assert np.mean(right) > 0.9


@pytest.mark.real_data("fashion_mnist")
def test_predictions_of_files_equal_those_of_rows_on_fashion_mnist(
    real_data, tmp_path, capsys
):
    out = str(tmp_path / "model")
    X, y = fetch_fashion_mnist(return_X_y=True)
    classifier = LeNet5Classifier(max_epochs=1, framing="whole", random_state=0)
    classifier.fit(X[:5000], y[:5000]).save(out)
    X = fetch_fashion_mnist(subset="test").data[:200]
    files = []
    for k, row in enumerate(X):
        files.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(row.reshape(28, 28)).save(files[-1])
    assert main(["predict", out, *files, "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    labels = [prediction["label"] for prediction in predictions]
    assert labels == classifier.predict(X).tolist()


def test_predict_averages_over_the_views_of_the_model_or_those_of_the_option(
    fitted, tmp_path, capsys
):
    files = [tmp_path / "5.png", tmp_path / "5_mirrored.png"]
    X, y = load_digits(return_X_y=True)
    five = (X[y == 5][0].reshape(8, 8) * 15).astype(np.uint8)
    Image.fromarray(five).save(files[0])
    Image.fromarray(five[:, ::-1].copy()).save(files[1])
    model = copy.copy(fitted).set_params(framing="whole", views="flip")
    model.save(tmp_path / "model")

    def predict(*options):
        call = ["predict", str(tmp_path / "model"), *map(str, files), "--json", *options]
        assert main(call) == 0
        return json.loads(capsys.readouterr().out)["predictions"]

    one, mirrored = (p["probabilities"] for p in predict())
    assert list(one.values()) == pytest.approx(list(mirrored.values()))
    plain = model.set_params(views=None).predict_proba(five.reshape(1, -1) / 255 * 16)
    for options in (["--views", "none"], ["--views=[]"]):
        alone, other = (p["probabilities"] for p in predict(*options))
        assert list(alone.values()) == pytest.approx(plain[0].tolist())
        assert list(alone.values()) != pytest.approx(list(other.values()))
    command = ["predict", str(tmp_path / "model"), str(files[0]), "--views", "mirror"]
    assert main(command) == 2
    assert "'views' parameter" in capsys.readouterr().err


def test_fit_saves_the_framing_of_the_data_set(model, tmp_path):
    assert LeNet5Classifier.load(model).framing == "digit"
    out = str(tmp_path / "model")
    fit = ["fit", "--data", "digits", "--out", out, "--max-epochs", "1", "--quiet"]
    assert main([*fit, "--framing", "whole"]) == 0
    assert LeNet5Classifier.load(out).framing == "whole"


def test_predict_reports_that_a_model_has_no_framing(fitted, tmp_path, capsys):
    out = str(tmp_path / "model")
    fitted.save(out)
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    assert main(["predict", out, str(tmp_path / "a.png"), "--json"]) == 0
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout)["framing"] == "digit"
    assert "assuming 'digit'. Pass --framing" in stderr
    assert main(["predict", out, str(tmp_path / "a.png"), "--framing", "whole"]) == 0
    assert capsys.readouterr().err == ""


def test_the_framing_option_applies_to_images_of_any_size(model, tmp_path, capsys):
    X, _ = load_digits(return_X_y=True)
    bright = (255 - X[0].astype(float) * 15).astype(np.uint8).reshape(8, 8)
    Image.fromarray(bright).save(tmp_path / "a.png")
    classifier = LeNet5Classifier.load(model)
    found = []
    for options in ([], ["--framing", "whole"]):
        assert (
            main(["predict", str(model), str(tmp_path / "a.png"), "--json", *options]) == 0
        )
        (prediction,) = json.loads(capsys.readouterr().out)["predictions"]
        found.append(list(prediction["probabilities"].values()))
    for pixels, probabilities in zip((255 - bright, bright), found, strict=True):
        row = pixels.reshape(1, -1) / 255 * 16
        assert np.allclose(classifier.predict_proba(row)[0], probabilities, atol=1e-6)


def test_predict_reads_a_line_of_digits(model, paper, tmp_path, capsys):
    X, _ = load_digits(return_X_y=True)
    pages = [np.asarray(Image.open(paper(X[k], margin=40))) for k in (0, 1, 2)]
    Image.fromarray(np.concatenate(pages, axis=1)).save(tmp_path / "line.png")
    image = str(tmp_path / "line.png")
    assert main(["predict", str(model), image]) == 2
    assert "3 digits found" in capsys.readouterr().err
    assert main(["predict", str(model), image, "--framing", "line"]) == 0
    line = capsys.readouterr().out
    rows = read_line(image, (1, 8, 8))
    labels = LeNet5Classifier.load(model).predict(rows / 255 * 16).tolist()
    assert len(labels) == 3
    label = "".join(map(str, labels))
    assert line.startswith(f"{image}: {label} (")
    assert main(["predict", str(model), image, "--framing", "line", "--json"]) == 0
    (prediction,) = json.loads(capsys.readouterr().out)["predictions"]
    assert prediction["label"] == label
    assert [digit["label"] for digit in prediction["figures"]] == labels
    for digit in prediction["figures"]:
        assert sum(digit["probabilities"].values()) == pytest.approx(1)


def test_images_that_cannot_be_read_do_not_prevent_other_predictions(model, paper, capsys):
    X, _ = load_digits(return_X_y=True)
    files = [paper(X[k], f"{k}.png") for k in range(15)]
    files[7].write_text("no image")
    arguments = ["predict", str(model), *map(str, files)]
    assert main(arguments) == 1
    stdout, stderr = capsys.readouterr()
    assert len(stdout.splitlines()) == 14
    assert stderr.startswith(f"sklenet: error: {files[7]}: not an image that can be read")
    assert main([*arguments, "--json"]) == 1
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    assert [prediction["image"] for prediction in predictions] == list(map(str, files))
    assert [k for k, p in enumerate(predictions) if "error" in p] == [7]
    assert predictions[7]["error"].startswith("not an image that can be read")


def test_predict_escapes_control_characters(model, tmp_path, capsys):
    (tmp_path / "a\x1b[2J.png").write_text("no image")
    Image.new("L", (8, 8)).save(tmp_path / "b\x1b[2J.png")
    files = [str(tmp_path / f"{name}\x1b[2J.png") for name in "ab"]
    assert main(["predict", str(model), *files]) == 1
    for text in capsys.readouterr():
        assert "\\x1b[2J.png: " in text
        assert "\x1b" not in text


@pytest.mark.parametrize("name", ["seen.png", "seen.PDF", "seen.svg"])
def test_predict_shows_what_it_saw(name, model, paper, tmp_path, capsys):
    X_test = load_digits(subset="test").data
    files = [str(paper(X_test[k], f"{k}.png")) for k in range(3)]
    (tmp_path / "text.png").write_text("no image")
    files.append(str(tmp_path / "text.png"))
    assert main(["predict", str(model), *files]) == 1
    expected = capsys.readouterr().out
    figure = tmp_path / name
    assert main(["predict", str(model), *files, "--show", str(figure)]) == 1
    stdout, stderr = capsys.readouterr()
    assert stdout == expected
    assert f"wrote {figure}" in stderr
    beginning = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
    assert figure.read_bytes().startswith(beginning[figure.suffix.lower()])
    if name.endswith("png"):
        with Image.open(figure) as image:
            image.load()
            assert image.height > image.width  # a row for each of the files


def test_predict_shows_files_that_are_all_rejected(model, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no image")
    options = [str(tmp_path / "text.png"), "--show", str(tmp_path / "seen.png"), "--json"]
    assert main(["predict", str(model), *options, "--quiet"]) == 2
    stdout, stderr = capsys.readouterr()
    assert "error" in json.loads(stdout)["predictions"][0]
    assert "wrote" not in stderr
    assert (tmp_path / "seen.png").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("seen.txt", r"--show .*seen\.txt: the name must end in \.png, \.pdf, \.svg"),
        ("seen", r"the name must end in"),
        ("none/seen.png", r"--show .*seen\.png: there is no folder"),
        ("folder.png", r"--show .*folder\.png: no file can be written there"),
        ("digit.png", r"--show .*digit\.png: this would replace .*digit\.png"),
        ("link.png", r"this would replace .*digit\.png"),
    ],
)
def test_figures_that_cannot_be_written_are_rejected_first(
    name, message, model, paper, tmp_path, capsys
):
    image = paper(load_digits().data[0])
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(image)
    content = image.read_bytes()
    assert main(["predict", str(model), str(image), "--show", str(tmp_path / name)]) == 2
    stdout, stderr = capsys.readouterr()
    assert re.search(message, stderr)
    assert stdout == ""
    assert image.read_bytes() == content


def test_the_help_of_predict_says_that_loading_executes_nothing(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "pickle" not in text
    assert "loading it executes nothing" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--data", "nonsense", "--out", "m"], "neither a dataset (digits,"),
        (["fit", "--data", "digits", "--out", "no/m"], "there is no folder no"),
        (
            ["fit", "--data", "digits", "--out", "m", "--activation", "rely"],
            "The 'activation' parameter of LeNet5Classifier must be",
        ),
        (
            ["fit", "--data", "digits", "--out", "m", "--lr", "fast"],
            "The 'lr' parameter of LeNet5Classifier must be a float",
        ),
        (["predict", "none", "image.png"], "none: no such file"),
    ],
)
def test_invalid_input_is_reported_with_exit_status_2(
    arguments, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr.startswith("sklenet: error: ")
    assert message in stderr
    assert list(tmp_path.iterdir()) == []


def test_an_output_file_that_cannot_be_written_is_rejected_before_training(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(LeNet5Classifier, "fit", None)  # must not be called
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("/dev/null")
    (tmp_path / "read-only").touch()
    (tmp_path / "read-only").chmod(0o444)
    outs = [*sorted(tmp_path.iterdir()), "/dev/null", "/dev/full"]
    for out in outs:
        assert main(["fit", "--data", "digits", "--out", str(out)]) == 2
        assert "no file can be written there" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == outs[:-2]
    assert not Path("/dev/null").is_file()


def test_a_class_that_cannot_be_saved_is_rejected_before_training(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(LeNet5Classifier, "fit", None)  # must not be called
    for name in (b"a", b"not \xff UTF-8"):
        folder = os.fsencode(tmp_path / "images") + b"/" + name
        os.makedirs(folder)
        Image.new("L", (28, 28)).save(os.fsdecode(folder + b"/image.png"))
    options = ["--data", str(tmp_path / "images"), "--out", str(tmp_path / "model")]
    assert main(["fit", *options]) == 2
    assert "label 'not \\udcff UTF-8'" in capsys.readouterr().err


def test_a_number_without_a_leading_zero(tmp_path):
    out = str(tmp_path / "model")
    options = ["--lr", ".002", "--max-epochs", "1", "--quiet"]
    assert main(["fit", "--data", "digits", "--out", out, *options]) == 0
    assert LeNet5Classifier.load(out).lr == 0.002


def test_an_unknown_data_set_is_rejected(capsys):
    assert main(["data", "mnst"]) == 2
    assert (
        "unknown dataset 'mnst'. Known datasets: digits, mnist" in capsys.readouterr().err
    )


def test_files_that_are_not_images_or_models_are_rejected(model, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no image")
    assert main(["predict", str(model), str(tmp_path / "text.png")]) == 2
    assert "text.png: not an image that can be read" in capsys.readouterr().err
    assert main(["predict", str(model), str(tmp_path / "none.png")]) == 2
    assert "none.png: No such file" in capsys.readouterr().err
    Image.fromarray(np.full((100, 100), 200, dtype=np.uint8)).save(tmp_path / "blank.png")
    assert main(["predict", str(model), str(tmp_path / "blank.png")]) == 2
    assert "blank.png: no digit found" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "text.png"), str(tmp_path / "blank.png")]) == 2
    assert "not a file of LeNet5Classifier.save" in capsys.readouterr().err


def test_one_bad_file_does_not_prevent_the_other_predictions(
    model, paper, tmp_path, capsys
):
    X, _ = load_digits(subset="test", return_X_y=True)
    files = [paper(X[k], f"{k}.png") for k in range(14)]
    bad = tmp_path / "bad.png"
    bad.write_bytes(files[0].read_bytes()[:60])
    files.insert(7, bad)
    assert main(["predict", str(model), *map(str, files), "--quiet"]) == 1
    stdout, stderr = capsys.readouterr()
    assert [line.split(": ")[0] for line in stdout.splitlines()] == [
        str(path) for path in files if path != bad
    ]
    assert len(stderr.splitlines()) == 1
    assert stderr.startswith(f"sklenet: error: {bad}: ")
    assert main(["predict", str(model), *map(str, files), "--json"]) == 1
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    assert [one["image"] for one in predictions] == [str(path) for path in files]
    assert [set(one) - {"image"} for one in predictions] == [
        {"error"} if path == bad else {"label", "probabilities"} for path in files
    ]


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "null byte"])
def test_every_kind_of_bad_file_is_an_error_of_that_file(
    model, paper, tmp_path, capsys, kind
):
    X, _ = load_digits(subset="test", return_X_y=True)
    good, bad = paper(X[0]), tmp_path / "bad.png"
    if kind == "folder":
        bad.mkdir()
    elif kind == "null byte":
        bad = tmp_path / "b\0d.png"
    elif kind != "missing":
        bad.write_text({"empty": "", "text": "no image"}[kind])
    assert main(["predict", str(model), str(bad), str(good), "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)["predictions"]
    assert first["error"]
    assert "label" in second


def test_ctrl_c_saves_the_model_after_the_last_finished_epoch(tmp_path):
    out = tmp_path / "model"
    options = ["--max-epochs", "10000", "--json", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "sklenet", "fit", "--data", "digits", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell may start background processes with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.stderr.readline().split()[:1] != ["3"]:  # the third epoch
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    text, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in messages
    values = json.loads(text)
    assert values["interrupted"]
    loaded = LeNet5Classifier.load(out)
    assert loaded.interrupted_
    assert 2 <= loaded.n_iter_ == values["epochs"] < 10_000


def test_ctrl_c_in_the_first_epoch_writes_nothing(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklenet.training.net.TrainingNet.fit_loop", interrupt)
    out = tmp_path / "model"
    assert main(["fit", "--data", "digits", "--out", str(out)]) == 130
    assert not out.exists()


def write_table(folder, n=300):
    import pandas as pd

    X, y = load_digits(return_X_y=True)
    frame = pd.DataFrame(X[:n], columns=[f"pixel{k}" for k in range(64)])
    frame.insert(0, "label", [f"digit {k}" for k in y[:n]])
    frame.to_csv(folder / "train.csv", index=False)
    return X[:n], frame["label"].to_numpy(dtype=str)


QUICK_FIT = ["--max-epochs", "1", "--batch-size", "64", "--quiet"]


def test_fit_on_a_csv_file_keeps_the_class_names(tmp_path, capsys):
    X, y = write_table(tmp_path)
    table, out = str(tmp_path / "train.csv"), str(tmp_path / "m")
    assert main(["fit", "--data", table, "--out", out, *QUICK_FIT]) == 0
    model = LeNet5Classifier.load(out)
    assert model.classes_.tolist() == [f"digit {k}" for k in range(10)]
    expected = LeNet5Classifier(max_epochs=1, batch_size=64, random_state=0).fit(X, y)
    assert np.array_equal(model.predict_proba(X), expected.predict_proba(X))
    capsys.readouterr()
    fit = ["fit", "--data", table, "--out", out, "--max-epochs", "1", "--json"]
    assert main([*fit, "--test-fraction", "0.25", "--n-train", "100"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["test_accuracy"] is not None
    assert main([*fit, "--test-data", table]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] is not None


def test_n_train_draws_a_stratified_sample(tmp_path):
    from sklenet.study.engine.data import Sample, draw_rows

    out = str(tmp_path / "m")
    assert (
        main(["fit", "--data", "digits", "--n-train", "200", "--out", out, *QUICK_FIT]) == 0
    )
    X, y = load_digits(return_X_y=True)
    rows = draw_rows(y, Sample(200, 0))
    expected = LeNet5Classifier(max_epochs=1, batch_size=64, random_state=0)
    expected.fit(X[rows], y[rows])
    model = LeNet5Classifier.load(out)
    assert np.array_equal(model.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n-train", "5"], "--n-train must be between 10"),
        (["--n-train", "500"], "and 300, the number of training images"),
        (["--label", "lable"], "Did you mean 'label'?"),
        (["--test-fraction", "1.5"], "--test-fraction must be between 0 and 1. Got 1.5"),
        (["--image-shape", "[5, 5]"], "are 25 pixels, but the images have 64"),
        (["--test-data", "none.csv"], "none.csv: there is no such file"),
        (["--size", "32"], "--size applies to a folder, but not to "),
        (["--colour"], "--colour applies to a folder, but not to "),
    ],
)
def test_invalid_options_of_custom_data(tmp_path, options, message, capsys):
    write_table(tmp_path)
    data = ["--data", str(tmp_path / "train.csv"), "--out", str(tmp_path / "m")]
    assert main(["fit", *data, *QUICK_FIT, *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("command", [["fit", "--out", "m", "--data"], ["data"]])
@pytest.mark.parametrize(
    "option",
    [
        ["--test-data", "none.csv"],
        ["--test-fraction", "0.2"],
        ["--label", "y"],
        ["--size", "32"],
        ["--image-shape", "[8, 8]"],
        ["--colour"],
    ],
)
def test_options_for_files_do_not_apply_to_datasets(
    tmp_path, command, option, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main([*command, "digits", *option]) == 2
    assert f"{option[0]} applies to a" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_options_for_files_apply_to_something(tmp_path, capsys):
    write_table(tmp_path)
    assert main(["data", "--label", "y"]) == 2
    assert "but not to the list of datasets" in capsys.readouterr().err
    assert main(["data", "digits", str(tmp_path / "train.csv"), "--label", "label"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "digits",
        "1,437",
        "training",
        "and",
        "360",
        "test",
        "images",
    ]
    assert "train.csv: 240 training" in lines[1]
    assert main(["data", str(tmp_path), "--label", "label"]) == 2
    assert "--label applies to a file or a dataset of OpenML" in capsys.readouterr().err
    shape = ["--image-shape", "[9, 9]"]
    assert main(["data", str(tmp_path), *shape, "--size", "9"]) == 2
    assert "--image-shape and --size exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--data"], ["--data", "digits.csv", "--test-data"]])
def test_a_model_never_replaces_the_data(tmp_path, options, capsys, monkeypatch):
    monkeypatch.setattr(LeNet5Classifier, "fit", None)  # must not be called
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    shutil.copy("train.csv", "digits.csv")
    Path("link").symlink_to("train.csv")
    content = Path("train.csv").read_bytes()
    for out in ("train.csv", "link"):
        assert main(["fit", *options, "train.csv", "--out", out]) == 2
        assert f"--out {out}: this would replace train.csv" in capsys.readouterr().err
    assert Path("train.csv").read_bytes() == content


def test_a_model_never_replaces_an_image_of_the_data(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(LeNet5Classifier, "fit", None)  # must not be called
    image = tmp_path / "scans" / "a" / "0.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"")
    assert main(["fit", "--data", str(tmp_path / "scans"), "--out", str(image)]) == 2
    assert "this would replace a file of " in capsys.readouterr().err
    assert image.read_bytes() == b""


def test_a_model_may_have_the_name_of_its_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second one replaces the first
        assert main(["fit", "--data", "digits", "--out", "digits", *QUICK_FIT]) == 0


def test_data_describes_folders_and_files(tmp_path, capsys):
    write_table(tmp_path)
    table = str(tmp_path / "train.csv")
    assert main(["data", table]) == 0
    shown = capsys.readouterr().out
    assert "240 training and 60 test images of 1x8x8, 10 classes" in shown
    assert "`sklenet fit` trains on all 300 without --test-fraction" in shown
    for options in (["--test-fraction", "0.1"], ["--test-data", table]):
        assert main(["data", table, *options]) == 0
        assert "sklenet fit" not in capsys.readouterr().out
    assert main(["data", table, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)[table]
    assert values["classes"] == [f"digit {k}" for k in range(10)]
    assert main(["data", str(tmp_path / "none.csv")]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main(["data", "mnits"]) == 2
    assert "Did you mean 'mnist'?" in capsys.readouterr().err
