// The page: one source of pixels, the disturbances, and all models.

const MAX_PHOTO_SIDE = 1024; // in pixels; larger photos are reduced before they are read
const MAX_PHOTO_PIXELS = 120e6; // decoded, they take four bytes each

class Page {
  constructor(content) {
    const find = (id) => document.getElementById(id);
    this.status = find("status");
    this.settings = { ...NO_DISTURBANCE };
    this.examples = content.examples;
    this.models = content.groups.map(
      (group) => new ModelView(group, (unit) => this.inspect(unit))
    );
    find("models").append(...this.models.map((model) => model.section));
    this.inspector = find("inspector");
    this.inspector.classList.add("idle");
    this.canDraw = this.models.some((model) => model.network.image_shape[0] === 1);
    this.pad = new Pad(find("pad"), () => this.change(null));
    find("clear").addEventListener("click", () => this.clear());
    find("photo").addEventListener("change", (event) => this.open(event.target.files[0]));
    this.makeExamples(find("examples"));
    this.listenToSliders();
    this.listenToDrops();
    this.showCursor(find("cursor"));
    document.body.classList.toggle("no-drawing", !this.canDraw);
    this.clear();
    // An address that ends with ?example=4 shows the fourth example first.
    const example = Number(new URLSearchParams(location.search).get("example"));
    find("examples").children[example - 1]?.click();
    document.body.dataset.ready = "true";
  }

  clear() {
    this.pad.clear();
    this.source = this.image = null;
    this.framed = new Map();
    this.say(this.canDraw ? "Draw a digit on the black square." : "Drop or choose a photo.");
    for (const model of this.models) model.clear("");
  }

  say(text) {
    this.status.textContent = text;
  }

  // Show another image: a source, or without one the drawing.
  change(source) {
    this.source = source;
    this.image = null;
    this.framed = new Map();
    this.schedule();
  }

  // Compute as soon as the events that have arrived are handled, without waiting for the next
  // frame of the screen.
  schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setTimeout(() => {
      this.isScheduled = false;
      this.update();
    });
  }

  update() {
    const start = performance.now();
    if (!this.source && this.pad.isEmpty) {
      this.clear();
      return;
    }
    this.say("");
    for (const model of this.models) {
      const { network } = model;
      try {
        model.framed = this.frame(network);
        model.show(disturbPixels(model.framed, network.image_shape, this.settings));
      } catch (error) {
        if (error.constructor !== Error) throw error;
        model.clear(error.message);
      }
    }
    this.milliseconds = performance.now() - start;
  }

  // The pixels that a network gets. Framing is the slowest part of an update: models of the
  // same images share it, and moving a slider does not repeat it.
  frame(network) {
    const key = `${network.framing} ${network.image_shape}`;
    if (!this.framed.has(key)) {
      this.image ??= this.source || this.pad.read();
      this.framed.set(key, attempt(() => framePixels(this.image, network)));
    }
    return this.framed.get(key)();
  }

  makeExamples(list) {
    this.examples.forEach((example, k) => {
      const [channels, height, width] = example.shape;
      const bytes = Uint8Array.from(atob(example.pixels), (character) => character.charCodeAt(0));
      const source = { channels, height, width, data: Float64Array.from(bytes), isExample: true };
      const button = document.createElement("button");
      button.type = "button";
      button.className = "example";
      button.setAttribute("aria-label", `Example ${k + 1}: ${example.label}`);
      button.title = example.label;
      const canvas = drawSource(source);
      button.append(canvas);
      button.addEventListener("click", () => {
        this.pad.show(canvas);
        this.change(source);
      });
      list.append(button);
    });
    list.hidden = !this.examples.length;
  }

  listenToSliders() {
    for (const input of document.querySelectorAll("[data-disturb]")) {
      const name = input.dataset.disturb;
      const output = document.querySelector(`output[for="${input.id}"]`);
      input.addEventListener("input", () => {
        this.settings[name] = input.type === "checkbox" ? input.checked : Number(input.value);
        if (output) output.textContent = input.value;
        this.schedule();
      });
    }
    document.getElementById("disturbances").addEventListener("reset", () => {
      this.settings = { ...NO_DISTURBANCE };
      for (const output of document.querySelectorAll("#disturbances output")) {
        output.textContent = NO_DISTURBANCE[output.dataset.name];
      }
      this.schedule();
    });
  }

  listenToDrops() {
    const area = document.getElementById("source");
    area.addEventListener("dragover", (event) => event.preventDefault());
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      this.open(event.dataTransfer.files[0]);
    });
  }

  // Read a photo; the browser turns it upright.
  async open(file) {
    if (!file) return;
    let bitmap;
    try {
      await checkSize(file);
      bitmap = await createImageBitmap(file);
    } catch (error) {
      const reason = error instanceof RangeError && error.message;
      this.say(`${file.name}: ${reason || "not an image that this browser can read."}`);
      return;
    }
    const scale = Math.min(1, MAX_PHOTO_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    flatten(context, canvas);
    this.pad.show(canvas);
    this.change(readCanvas(context, canvas.height, canvas.width));
  }

  showCursor(mark) {
    this.pad.canvas.addEventListener("cursor", (event) => {
      mark.hidden = false;
      mark.style.left = `${(100 * event.detail.x) / PAD_SIDE}%`;
      mark.style.top = `${(100 * event.detail.y) / PAD_SIDE}%`;
      mark.classList.toggle("down", this.pad.isKeyPenDown);
    });
    this.pad.canvas.addEventListener("pointerdown", () => (mark.hidden = true));
  }

  inspect(unit) {
    this.inspector.replaceChildren();
    this.inspector.classList.toggle("idle", !unit);
    if (!unit) {
      this.inspector.textContent = "Point at a unit to see what it depends on.";
      return;
    }
    const text = document.createElement("p");
    text.textContent = unit.text;
    const tiles = document.createElement("div");
    tiles.className = "kernels";
    const most = Math.max(...unit.tiles.map((tile) => maximum(tile.data.map(Math.abs))), 1e-12);
    for (const tile of unit.tiles) {
      const figure = document.createElement("figure");
      const caption = document.createElement("figcaption");
      caption.textContent = tile.title;
      figure.append(drawKernel(tile, most), caption);
      tiles.append(figure);
    }
    this.inspector.append(text, tiles);
  }
}

// Return a function that returns what `compute` returns, or throws what it throws.
function attempt(compute) {
  try {
    const value = compute();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

// Check the size of a photo before it is decoded: one that takes more memory than there is
// ends the page.
async function checkSize(file) {
  const image = new Image();
  const url = URL.createObjectURL(file);
  try {
    await new Promise((done, fail) => {
      image.onload = done;
      image.onerror = fail;
      image.src = url;
    });
  } finally {
    URL.revokeObjectURL(url);
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height > MAX_PHOTO_PIXELS) {
    const most = MAX_PHOTO_PIXELS / 1e6;
    throw new RangeError(`${width} x ${height} pixels are too many; at most ${most} million are read.`);
  }
}

// Put transparent pixels on white if what is opaque is dark, on black if it is bright.
function flatten(context, { width, height }) {
  const image = context.getImageData(0, 0, width, height);
  const { data } = image;
  let [weight, total, isOpaque] = [0, 0, true];
  for (let k = 0; k < data.length; k += 4) {
    const alpha = data[k + 3] / 255;
    isOpaque &&= alpha === 1;
    weight += alpha;
    total += alpha * toGrey(data[k], data[k + 1], data[k + 2]);
  }
  if (isOpaque) return;
  const background = total / (weight || 1) < 127.5 ? 255 : 0;
  for (let k = 0; k < data.length; k += 4) {
    const alpha = data[k + 3] / 255;
    for (let c = 0; c < 3; c++) data[k + c] = alpha * data[k + c] + (1 - alpha) * background;
    data[k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// A source as a small canvas.
function drawSource({ channels, height, width, data }) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const n = height * width;
  for (let k = 0; k < n; k++) {
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = data[(channels === 3 ? c * n : 0) + k];
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// Weights as squares: black is the most negative, white the most positive, grey is 0.
function drawKernel({ side, data }, most) {
  const canvas = document.createElement("canvas");
  canvas.width = side;
  canvas.height = Math.ceil(data.length / side);
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  data.forEach((value, k) => {
    const grey = 127.5 + (127.5 * value) / most;
    image.data.set([grey, grey, grey, 255], 4 * k);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}
