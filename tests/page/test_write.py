"""The HTML page, in a real browser: it computes and frames as Python does."""

import copy
import itertools
import json

import numpy as np
import pytest
import torch
from browser import Browser
from PIL import Image
from sklearn.pipeline import make_pipeline

from sklenet import LeNet5Classifier
from sklenet.datasets import load_digits
from sklenet.framing import frame_digit
from sklenet.network import ACTIVATIONS, LOSSES, POOLINGS
from sklenet.page import write_page

X, y = load_digits(subset="all", return_X_y=True)
SMALL = {"max_epochs": 1, "maps": (2, 3), "hidden": (12,), "random_state": 0}
SEVEN = [(0.3, 0.25), (0.5, 0.22), (0.7, 0.25), (0.6, 0.5), (0.5, 0.75), (0.45, 0.85)]


def fit(n=300, **params):
    return LeNet5Classifier(**SMALL | params).fit(X[:n], y[:n])


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    try:
        browser = Browser(tmp_path_factory.mktemp("profile"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def good():
    return LeNet5Classifier(max_epochs=8, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def page(tmp_path_factory, good):
    """A page with a good network, two states of another, and one with codes."""
    path = tmp_path_factory.mktemp("page") / "lenet.html"
    states = {"epoch 1": fit(), "epoch 2": fit(max_epochs=2)}
    codes = fit(output="rbf", hidden=(20, 84), connections=[[0], [1], [0, 1]])
    write_page({"Good <b>": good, "States": states, "Codes": codes}, path)
    return path


def wait_until(browser, condition):
    for _ in range(200):
        if browser.evaluate(condition):
            return
        browser.call(
            "Runtime.evaluate",
            expression="new Promise(done => setTimeout(done, 25))",
            awaitPromise=True,
        )
    raise TimeoutError(condition)


def draw(browser, places):
    browser.drag("#pad", places)
    wait_until(browser, "!page.pad.last && !page.isScheduled && page.models[0].latest")


def open_page(browser, page, **window):
    browser.messages.clear()
    browser.requests.clear()
    browser.open(page, **window)
    wait_until(browser, "document.body.dataset.ready")


def predict(browser, rows):
    """Return the probabilities that each model of the page computes for rows."""
    script = (
        f"JSON.stringify(page.models.map(({{network}}) => {json.dumps(rows.tolist())}"
        ".map((row) => network.predict(Float64Array.from(row)))))"
    )
    return np.array(json.loads(browser.evaluate(script)))


CASES = [
    *(
        {"activation": activation, "pooling": pooling}
        for activation, pooling in itertools.product(ACTIVATIONS, POOLINGS)
    ),
    *({"loss": loss, "output": "rbf"} for loss in LOSSES if loss != "bce"),
    *({"loss": loss} for loss in LOSSES if loss != "distance"),
    *({"padding": padding, "kernel_size": 3} for padding in (1, 2, 5)),
    {"kernel_size": 4},
    {"feature_range": (-0.1, 1.175)},
    {"feature_range": (-0.1, 1.175), "views": ["flip", {"shift": 3}], "loss": "bce"},
    {"views": "shift", "output": "rbf"},
    {"views": "flip", "feature_range": None, "lr": 1e-4},
    {"feature_range": None, "lr": 1e-4},
    {"connections": [[0], [1], [0, 1]]},
    {"hidden": (), "maps": (3, 4)},
    {"maps": (6, 16), "hidden": (120, 84)},
]


def test_probabilities_agree_with_predict_proba(browser, tmp_path):
    models = {str(params): fit(**params) for params in CASES}
    write_page(models, tmp_path / "all.html", examples=X[:1])
    open_page(browser, tmp_path / "all.html")
    rows = X[:1000]
    for start in range(0, 1000, 250):
        found = predict(browser, rows[start : start + 250])
        for probabilities, (name, model) in zip(found, models.items(), strict=True):
            expected = model.predict_proba(rows[start : start + 250])
            assert np.abs(probabilities - expected).max() <= 1e-5, name
    assert not browser.messages


def test_activations_agree_with_torch_in_double_precision(browser, tmp_path):
    models = {name: fit(100, activation=name) for name in ACTIVATIONS}
    write_page(models, tmp_path / "activations.html", examples=X[:1])
    open_page(browser, tmp_path / "activations.html")
    x = np.concatenate([np.linspace(-40, 40, 401), np.linspace(-7, 7, 1401), [1e-9, -1e-9]])
    script = (
        "JSON.stringify(page.models.map(({network}) =>"
        f" {json.dumps(x.tolist())}.map(network.layers[0].apply)))"
    )
    found = json.loads(browser.evaluate(script))
    for name, values in zip(ACTIVATIONS, found, strict=True):
        expected = ACTIVATIONS[name]()(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-12, err_msg=name)


def test_colour_images_of_any_shape_agree(browser, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 3, 20, 26), dtype=np.uint8)
    labels = np.arange(40) % 4
    model = LeNet5Classifier(**SMALL).fit(images, labels)
    write_page({"colour": model}, tmp_path / "colour.html", examples=images[:2])
    open_page(browser, tmp_path / "colour.html")
    (found,) = predict(browser, images.reshape(40, -1))
    assert np.abs(found - model.predict_proba(images)).max() <= 1e-5
    # Nothing is drawn for colour images; photos and examples are shown.
    assert browser.evaluate("document.body.classList.contains('no-drawing')")
    browser.evaluate("document.querySelectorAll('.example')[1].click()")
    wait_until(browser, "page.models[0].latest")
    shown = browser.evaluate("Array.from(page.models[0].latest)")
    assert np.abs(np.array(shown) - model.predict_proba(images[1:2])[0]).max() <= 1e-5


def test_drawings_are_framed_as_in_python(browser, page):
    open_page(browser, page)
    rng = np.random.default_rng(0)
    n_framed = 0
    for _ in range(100):
        strokes = [
            (rng.normal(0, 18, (rng.integers(3, 9), 2)).cumsum(axis=0) + start).tolist()
            for start in rng.uniform(40, 100, (rng.integers(1, 3), 2))
        ]
        pixels, framed = json.loads(
            browser.evaluate(
                f"""(() => {{
                    const pad = page.pad;
                    pad.clear();
                    for (const stroke of {json.dumps(strokes)}) {{
                        pad.last = {{x: stroke[0][0], y: stroke[0][1]}};
                        for (const [x, y] of stroke) pad.drawTo({{x, y}});
                    }}
                    const source = pad.read();
                    let framed;
                    try {{
                        framed = Array.from(framePixels(source, {{
                            image_shape: [1, 28, 28], framing: "digit"
                        }}));
                    }} catch (error) {{
                        framed = error.message;
                    }}
                    const grey = Array.from(greyOf(source).data);
                    return JSON.stringify([grey, framed]);
                }})()"""
            )
        )
        drawing = np.array(pixels, np.uint8).reshape(140, 140)
        try:
            expected = frame_digit(drawing, (28, 28)).astype(int).ravel()
        except ValueError:
            assert isinstance(framed, str)
            continue
        n_framed += 1
        assert np.abs(np.array(framed) - expected).max() <= 1
    assert n_framed >= 60


def assert_probabilities_of_drawing(browser, clf):
    """Compare the probabilities that the page shows with Python's, which are returned."""
    pixels = np.array(browser.evaluate("Array.from(page.models[0].framed)"))
    expected = clf.predict_proba(pixels[None] / 255 * 16)[0]
    found = browser.evaluate("page.models[0].latest")
    assert np.abs(np.array(found) - expected).max() <= 1e-5
    return expected


def test_a_drawing_is_recognised_while_it_is_drawn(browser, page, good):
    open_page(browser, page)
    assert browser.evaluate("page.status.textContent").startswith("Draw a digit")
    draw(browser, SEVEN)
    expected = assert_probabilities_of_drawing(browser, good)
    answer = browser.evaluate("document.querySelector('.answer').textContent")
    assert answer.startswith(f"{expected.argmax()} (")
    # Layers show something else than one grey.
    spread = browser.evaluate(
        "[...page.models[0].views.values()].map(view => Math.max(...view.values.data)"
        " - Math.min(...view.values.data))"
    )
    assert min(spread) > 0
    browser.evaluate("document.getElementById('clear').click()")
    assert browser.evaluate("page.models[0].answer.textContent") == ""
    assert not browser.messages
    assert all(request.startswith("file:") for request in browser.requests)


def test_the_answer_says_that_it_is_the_mean_of_several_views(browser, good, tmp_path):
    clf = copy.copy(good).set_params(views=["flip", {"shift": 2}])
    write_page({"Views": clf}, tmp_path / "views.html")
    open_page(browser, tmp_path / "views.html")
    draw(browser, SEVEN)
    assert_probabilities_of_drawing(browser, clf)
    answer = browser.evaluate("document.querySelector('.answer').textContent")
    assert answer.endswith(", mean of 10 views")
    assert not browser.messages


def test_disturbances_reach_the_network_and_can_be_reset(browser, page):
    open_page(browser, page)
    browser.evaluate("document.querySelectorAll('.example')[2].click()")
    wait_until(browser, "page.models[0].latest")
    pixels = "Array.from(page.models[0].pixels)"
    before = browser.evaluate(pixels)
    for name, value in {"rotate": 30, "right": 2, "thickness": 1, "noise": 20}.items():
        browser.evaluate(
            f"(() => {{ const slider = document.getElementById('slider-{name}');"
            f" slider.value = {value}; slider.dispatchEvent(new Event('input')); }})()"
        )
    browser.evaluate("document.getElementById('invert').click()")
    wait_until(browser, "!page.isScheduled")
    changed = np.array(browser.evaluate(pixels))
    assert np.abs(changed - before).mean() > 50
    browser.evaluate("document.querySelector('#disturbances [type=reset]').click()")
    wait_until(browser, f"{pixels}.join() === {json.dumps(','.join(map(str, before)))}")


def test_rotation_and_shift_go_the_way_they_say(browser, page):
    open_page(browser, page)
    image = np.zeros((9, 9))
    image[4, 6] = 255  # right of the centre
    for settings, place in (
        ({"rotate": 90}, (2, 4)),  # counter-clockwise: above the centre
        ({"right": 2}, (4, 8)),
        ({"down": 3}, (7, 6)),
        ({"scale": 2}, (4, 8)),
    ):
        moved = browser.evaluate(
            f"Array.from(moveGrid(makeGrid(9, 9, {image.ravel().tolist()}),"
            f" {{...NO_DISTURBANCE, ...{json.dumps(settings)}}}).data)"
        )
        moved = np.array(moved).reshape(9, 9)
        assert np.unravel_index(moved.argmax(), moved.shape) == place, settings


def test_a_unit_shows_its_receptive_field_and_its_kernels(browser, page):
    open_page(browser, page)
    browser.evaluate("document.querySelectorAll('.example')[0].click()")
    wait_until(browser, "page.models[2].latest")
    # In LeNet-5 a unit of C3 at row i depends on 14 rows of the input from 2 i on.
    browser.evaluate("page.models[2].pick('C3', {map: 0, row: 3, column: 1})")
    text = browser.evaluate("page.inspector.textContent")
    assert "rows 6 to 19 and columns 2 to 15" in text
    assert "maps 0 of S2" in text  # the first map of C3 sees one map only
    assert browser.evaluate("page.inspector.querySelectorAll('canvas').length") == 1
    value = browser.evaluate(
        "page.models[2].values.C3.data[3 * page.models[2].values.C3.width + 1].toFixed(4)"
    )
    assert value in text


def test_states_of_a_training_are_a_slider(browser, page):
    open_page(browser, page)
    browser.evaluate("document.querySelectorAll('.example')[0].click()")
    wait_until(browser, "page.models[1].latest")
    last = browser.evaluate("page.models[1].latest")
    browser.evaluate(
        "(() => { const slider = document.querySelector('.states input');"
        " slider.value = 0; slider.dispatchEvent(new Event('input')); })()"
    )
    assert browser.evaluate("document.querySelector('.states output').textContent") == (
        "epoch 1"
    )
    assert browser.evaluate("page.models[1].latest") != last


def test_the_page_can_be_used_by_keyboard(browser, page):
    open_page(browser, page)
    browser.evaluate("page.pad.canvas.focus()")
    browser.evaluate(
        "[' ', ...Array(12).fill('ArrowDown'), ' '].forEach(key => page.pad.canvas"
        ".dispatchEvent(new KeyboardEvent('keydown', {key})))"
    )
    wait_until(browser, "page.models[0].latest")
    assert browser.evaluate("page.models[0].answer.textContent").startswith("1 (")
    view = "page.models[0].views.get('C1')"
    browser.evaluate(f"{view}.canvas.focus()")
    browser.evaluate(
        f"['PageDown', 'ArrowDown', 'ArrowRight'].forEach(key => {view}.canvas"
        ".dispatchEvent(new KeyboardEvent('keydown', {key})))"
    )
    text = browser.evaluate("page.inspector.textContent")
    assert text.startswith("C1, map 1, row 1, column 1")


@pytest.mark.parametrize(("width", "dark"), [(360, True), (1280, False), (3840, False)])
def test_nothing_overflows(browser, page, width, dark):
    open_page(browser, page, width=width, dark=dark)
    draw(browser, SEVEN)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert not browser.messages


def test_a_photo_is_read_and_another_file_is_not(browser, page, tmp_path):
    open_page(browser, page)
    photo = np.full((600, 800), 230, np.uint8)
    photo[150:450, 380:420] = 30  # a one, dark on bright
    Image.fromarray(photo).save(tmp_path / "one.png")
    (tmp_path / "text.png").write_text("no image")
    choose_photo(browser, tmp_path / "one.png")
    wait_until(browser, "page.models[0].latest")
    assert browser.evaluate("page.models[0].answer.textContent").startswith("1 (")
    choose_photo(browser, tmp_path / "text.png")
    wait_until(browser, "page.status.textContent.includes('text.png')")


def choose_photo(browser, path):
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#photo")["nodeId"]
    browser.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)


def test_a_photo_of_200_megapixels_is_rejected_and_the_page_stays_alive(
    browser, page, tmp_path
):
    open_page(browser, page)
    draw(browser, SEVEN)
    answer = browser.evaluate("page.models[0].answer.textContent")
    Image.new("1", (20_000, 10_000)).save(tmp_path / "huge.png")
    choose_photo(browser, tmp_path / "huge.png")
    wait_until(browser, "page.status.textContent.includes('huge.png')")
    text = browser.evaluate("page.status.textContent")
    assert "20000 x 10000 pixels are too many" in text
    assert browser.evaluate("page.models[0].answer.textContent") == answer
    draw(browser, SEVEN)
    assert browser.evaluate("page.status.textContent") == ""
    assert not browser.messages


def touch(browser, kind, *places):
    points = [{"x": x, "y": y} for x, y in places]
    browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)


def test_a_finger_draws_and_does_not_scroll(browser, page):
    open_page(browser, page, width=400, height=700)
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        left, top, side = browser.evaluate(
            "(({left, top, width}) => [left, top, width])"
            "(page.pad.canvas.getBoundingClientRect())"
        )
        places = [(left + x * side, top + y * side) for x, y in SEVEN]
        touch(browser, "touchStart", places[0])
        for place in places[1:]:
            touch(browser, "touchMove", place)
        touch(browser, "touchEnd")
        wait_until(browser, "!page.pad.last && !page.isScheduled && page.models[0].latest")
    finally:
        browser.call("Emulation.setTouchEmulationEnabled", enabled=False)
    assert browser.evaluate("scrollY") == 0
    by_finger = np.array(browser.evaluate("Array.from(page.models[0].framed)"))
    # The mouse draws the same.
    open_page(browser, page, width=400, height=700)
    draw(browser, SEVEN)
    by_mouse = np.array(browser.evaluate("Array.from(page.models[0].framed)"))
    assert by_mouse.max() == 255
    assert np.abs(by_finger - by_mouse).mean() < 5
    assert not browser.messages


def test_a_pen_draws(browser, page):
    open_page(browser, page)
    browser.evaluate(
        "addEventListener('pointerdown', (event) => (window.kind = event.pointerType))"
    )
    browser.drag("#pad", SEVEN, pointerType="pen", force=0.3)
    wait_until(browser, "!page.isScheduled && page.models[0].latest")
    assert browser.evaluate("kind") == "pen"
    by_pen = browser.evaluate("Array.from(page.models[0].framed)")
    open_page(browser, page)
    draw(browser, SEVEN)
    assert by_pen == browser.evaluate("Array.from(page.models[0].framed)")


@pytest.mark.parametrize(("query", "shown"), [("?example=2", 1), ("?example=99", None)])
def test_the_address_can_name_an_example(browser, page, query, shown):
    open_page(browser, page, query=query)
    if shown is None:
        assert browser.evaluate("page.status.textContent").startswith("Draw a digit")
    else:
        wait_until(browser, "!page.isScheduled && page.models[0].latest")
        by_address = browser.evaluate("Array.from(page.models[0].framed)")
        browser.evaluate(f"document.getElementById('examples').children[{shown}].click()")
        wait_until(browser, "!page.isScheduled")
        assert by_address == browser.evaluate("Array.from(page.models[0].framed)")
    assert not browser.messages


# What browsers without raw updates send, and scripts that draw.
POINTER_MOVES = """
(() => {
  const pad = page.pad.canvas, box = pad.getBoundingClientRect();
  const send = (name, [x, y]) => pad.dispatchEvent(new PointerEvent(name, {
    cancelable: true, pointerId: 1, button: 0,
    clientX: box.left + x * box.width, clientY: box.top + y * box.height,
  }));
  const places = %s;
  send("pointerdown", places[0]);
  for (const place of places) send("pointermove", place);
  send("pointerup", places[0]);
})()
"""


def test_pointermove_draws(browser, page):
    open_page(browser, page)
    browser.evaluate(POINTER_MOVES % [list(place) for place in SEVEN])
    wait_until(browser, "!page.isScheduled && page.models[0].latest")
    by_script = np.array(browser.evaluate("Array.from(page.models[0].framed)"))
    open_page(browser, page)
    draw(browser, SEVEN)
    by_mouse = np.array(browser.evaluate("Array.from(page.models[0].framed)"))
    assert np.abs(by_script - by_mouse).mean() < 5
    assert by_script.max() == 255


def move_slider(browser, selector, value):
    browser.evaluate(
        f"(() => {{ const slider = document.querySelector({selector!r});"
        f" slider.value = {value}; slider.dispatchEvent(new Event('input')); }})()"
    )
    wait_until(browser, "!page.isScheduled")


def test_an_unchanged_drawing_is_framed_once(browser, page):
    open_page(browser, page)
    browser.evaluate(
        "(() => { const original = framePixels; window.n = 0;"
        " framePixels = (...all) => { window.n += 1; return original(...all); }; })()"
    )
    draw(browser, SEVEN)
    n_framed = browser.evaluate("n")
    assert n_framed > 0
    move_slider(browser, "#slider-rotate", 30)
    move_slider(browser, "#slider-noise", 20)
    before = browser.evaluate("page.models[1].latest")
    move_slider(browser, ".states input", 0)
    assert browser.evaluate("page.models[1].latest") != before
    browser.evaluate("document.querySelector('#disturbances [type=reset]').click()")
    wait_until(browser, "!page.isScheduled")
    assert browser.evaluate("n") == n_framed
    draw(browser, [(0.2, 0.8), (0.4, 0.8)])
    assert browser.evaluate("n") > n_framed


def test_sliders_leave_an_empty_drawing_alone(browser, page):
    open_page(browser, page)
    move_slider(browser, "#slider-rotate", 30)
    browser.evaluate("document.getElementById('invert').click()")
    browser.evaluate("page.models[0].occlusionButton.click()")
    wait_until(browser, "!page.isScheduled")
    assert browser.evaluate("page.status.textContent").startswith("Draw a digit")
    assert browser.evaluate("page.models[0].answer.textContent") == ""
    assert not browser.messages


def test_many_classes_show_the_most_probable_ones(browser, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 28, 28), dtype=np.uint8)
    model = LeNet5Classifier(**SMALL).fit(images, np.arange(200) % 100)
    write_page({"100": model}, tmp_path / "many.html", examples=images[:1], labels=["<i>"])
    open_page(browser, tmp_path / "many.html")
    browser.evaluate("document.querySelector('.example').click()")
    wait_until(browser, "page.models[0].latest")
    assert browser.evaluate("document.querySelectorAll('.bars li').length") == 10
    assert browser.evaluate("document.querySelector('.example').title") == "<i>"


def test_occlusion_is_drawn_on_the_input(browser, page):
    open_page(browser, page)
    browser.evaluate("document.querySelectorAll('.example')[4].click()")
    wait_until(browser, "page.models[1].latest")
    browser.evaluate("page.models[1].occlusionButton.click()")
    assert browser.evaluate("document.querySelectorAll('.saliency').length") == 1


def test_without_javascript_the_page_says_so(browser, page):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        text = browser.evaluate("document.body.innerText")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "JavaScript, which is switched off in this browser" in text


def test_names_are_escaped(page):
    assert "Good <b>" not in page.read_text()


def test_a_notebook_shows_the_page_in_a_frame(browser, good, tmp_path):
    shown = good.to_html()
    assert len(repr(shown)) < 40
    (tmp_path / "cell.html").write_text(f"<!DOCTYPE html>{shown._repr_html_()}")
    browser.messages.clear()
    browser.open(tmp_path / "cell.html")
    assert browser.evaluate("document.querySelector('iframe').srcdoc") == shown.text
    good.to_html(tmp_path / "file.html")
    assert (tmp_path / "file.html").read_text() == shown.text
    assert not browser.messages


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ({}, {}, "The 'models' are empty"),
        ({"a": {}}, {}, "has no states"),
        (None, {"examples": X[:3], "labels": [1]}, "as many as the 'examples', 3"),
    ],
)
def test_bad_arguments_are_named(tmp_path, models, options, message):
    models = {"a": fit()} if models is None else models
    with pytest.raises(ValueError, match=message):
        write_page(models, tmp_path / "page.html", **options)
    assert not list(tmp_path.iterdir())


def test_one_network_takes_less_than_a_megabyte(tmp_path):
    write_page({"a": fit(maps=(6, 16), hidden=(120, 84))}, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 1_000_000


def test_a_pipeline_is_rejected(tmp_path):
    with pytest.raises((AttributeError, TypeError, ValueError)):
        write_page({"a": make_pipeline(fit())}, tmp_path / "page.html")
