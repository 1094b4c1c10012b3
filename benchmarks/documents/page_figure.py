"""Draw ``docs/page.png``: the page to draw on, in a browser, with a drawn digit.

    python benchmarks/documents/page_figure.py

writes the page of the network ``load_pretrained("mnist")`` with ``sklenet page``, opens it
in a headless Chromium, draws a digit on it by pointer events, and takes a screenshot.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from sklenet import pretrained
from sklenet.cli import main

FIGURE = Path(__file__).parents[2] / "docs" / "page.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1300, 1010

# Strokes of a 3, as fractions of the width and the height of the drawing pad.
STROKES = [
    [
        *[(0.3, 0.27), (0.38, 0.2), (0.5, 0.17), (0.62, 0.2), (0.68, 0.29), (0.64, 0.39)],
        *[(0.55, 0.45), (0.45, 0.48), (0.57, 0.5), (0.68, 0.57), (0.71, 0.68)],
        *[(0.66, 0.78), (0.54, 0.84), (0.4, 0.83), (0.29, 0.75)],
    ]
]

DRAW = """
<script>
// Events that no device has made cannot capture the pointer.
Element.prototype.setPointerCapture = () => {};
addEventListener("load", () => {
  const pad = document.getElementById("pad");
  const box = pad.getBoundingClientRect();
  const send = (name, [x, y]) => pad.dispatchEvent(new PointerEvent(name, {
    bubbles: true, cancelable: true, isPrimary: true, pointerId: 1, pointerType: "mouse",
    button: 0, buttons: name === "pointerup" ? 0 : 1,
    clientX: box.left + x * box.width, clientY: box.top + y * box.height,
  }));
  for (const stroke of %s) {
    send("pointerdown", stroke[0]);
    for (const place of stroke) send("pointermove", place);
    send("pointerup", stroke[stroke.length - 1]);
  }
  document.activeElement.blur();
});
</script>
"""


def take_screenshot(page: Path, figure: Path) -> None:
    """Draw the digit on a page in a browser, and write what is shown as a PNG."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"None of {', '.join(BROWSERS)} is installed.")
    drawn = page.with_name("drawn.html")
    strokes = [[list(place) for place in stroke] for stroke in STROKES]
    drawn.write_text(page.read_text("utf-8") + DRAW % strokes, "utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=10000"]
    command += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={figure}"]
    subprocess.run([*command, drawn.as_uri()], check=True, stderr=subprocess.DEVNULL)


def draw_figure() -> None:
    """Write the page of the network, and its picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = folder / "page.html"
        model = pretrained.FOLDER / "mnist.sklenet"
        if main(["page", str(model), "--out", str(page)]) != 0:
            raise SystemExit("The page could not be written.")
        take_screenshot(page, folder / "page.png")
        # Fewer colours make the file smaller by three quarters.
        with Image.open(folder / "page.png") as image:
            image.convert("RGB").quantize(64).save(FIGURE, optimize=True)


if __name__ == "__main__":
    draw_figure()
    print("wrote", FIGURE.name)
