// The drawing pad: mouse, finger, pen or keyboard, white on black.

const PAD_SIDE = 140;
const PEN_WIDTH = 13;
const KEY_STEP = 4;

class Pad {
  // `changed` is called after every stroke, at most once per frame.
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.changed = changed;
    this.cursor = { x: PAD_SIDE / 2, y: PAD_SIDE / 2 };
    this.isKeyPenDown = false;
    canvas.width = canvas.height = PAD_SIDE;
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    // Raw updates do not wait for the next frame. Browsers that have them send each move
    // again as pointermove; others, and scripts that draw, send pointermove only.
    canvas.addEventListener("pointerrawupdate", (event) => {
      this.hasRawUpdates = true;
      this.move(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.hasRawUpdates) this.move(event);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, () => (this.last = null));
    }
    canvas.addEventListener("keydown", (event) => this.press(event));
  }

  clear() {
    this.context.fillStyle = "black";
    this.context.fillRect(0, 0, PAD_SIDE, PAD_SIDE);
    this.isEmpty = true;
    this.last = null;
    this.isKeyPenDown = false;
  }

  read() {
    return readCanvas(this.context, PAD_SIDE, PAD_SIDE);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * PAD_SIDE) / box.width,
      y: ((event.clientY - box.top) * PAD_SIDE) / box.height,
    };
  }

  begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.prepare();
    this.hasRawUpdates = false;
    this.last = this.place(event);
    this.drawTo(this.last);
  }

  move(event) {
    if (!this.last) return;
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const one of events.length ? events : [event]) this.drawTo(this.place(one));
  }

  // Replace a photo or an example by an empty page.
  prepare() {
    if (this.showsOther) this.clear();
    this.showsOther = false;
  }

  drawTo(place) {
    const context = this.context;
    context.strokeStyle = "white";
    context.lineWidth = PEN_WIDTH;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(this.last.x, this.last.y);
    context.lineTo(place.x, place.y);
    context.stroke();
    this.last = place;
    this.isEmpty = false;
    this.changed();
  }

  // Arrow keys move the pen, the space bar lowers and lifts it, Delete clears the page.
  press(event) {
    const steps = {
      ArrowLeft: [-KEY_STEP, 0],
      ArrowRight: [KEY_STEP, 0],
      ArrowUp: [0, -KEY_STEP],
      ArrowDown: [0, KEY_STEP],
    };
    const step = steps[event.key];
    if (event.key === " ") {
      this.isKeyPenDown = !this.isKeyPenDown;
      if (this.isKeyPenDown) this.prepare();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.clear();
      this.changed();
    } else if (step) {
      const before = this.cursor;
      this.cursor = {
        x: clamp(before.x + step[0], 0, PAD_SIDE),
        y: clamp(before.y + step[1], 0, PAD_SIDE),
      };
      if (this.isKeyPenDown) {
        this.last = before;
        this.drawTo(this.cursor);
        this.last = null;
      }
    } else {
      return;
    }
    event.preventDefault();
    this.canvas.dispatchEvent(new CustomEvent("cursor", { detail: this.cursor }));
  }

  // Show an image that is not a drawing; the next stroke replaces it.
  show(image) {
    this.clear();
    const scale = Math.min(PAD_SIDE / image.width, PAD_SIDE / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    this.context.imageSmoothingEnabled = scale < 1;
    const [left, top] = [(PAD_SIDE - width) / 2, (PAD_SIDE - height) / 2];
    this.context.drawImage(image, left, top, width, height);
    this.showsOther = true;
  }
}
