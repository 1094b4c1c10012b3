// One model on the page, or several states of one training: its layers, live.

const MANY_CLASSES = 20;

class ModelView {
  // `group` is {name, states}: descriptions of a model at one or several epochs.
  constructor(group, inspect) {
    this.networks = group.states.map((state) => new Network(state));
    this.chosen = this.networks.length - 1;
    this.inspect = inspect;
    this.section = document.createElement("section");
    this.section.className = "model";
    const heading = document.createElement("h2");
    heading.textContent = group.name;
    this.answer = document.createElement("p");
    this.answer.className = "answer";
    this.answer.setAttribute("aria-live", "polite");
    this.section.append(heading);
    if (this.networks.length > 1) this.section.append(this.makeSlider(group));
    this.section.append(this.answer);
    this.bars = document.createElement("ol");
    this.bars.className = "bars";
    this.views = new Map();
    const layers = document.createElement("div");
    layers.className = "layers";
    for (const name of ["input", ...this.network.layers.map((layer) => layer.name)]) {
      if (name === "output") continue; // shown as probabilities
      const view = new LayerView(name, (unit) => this.pick(name, unit));
      this.views.set(name, view);
      layers.append(view.figure);
    }
    const tools = document.createElement("p");
    this.occlusionButton = document.createElement("button");
    this.occlusionButton.type = "button";
    this.occlusionButton.textContent = "What matters? (occlusion)";
    this.occlusionButton.addEventListener("click", () => this.showOcclusion());
    tools.append(this.occlusionButton);
    this.section.append(this.bars, layers, tools);
  }

  get network() {
    return this.networks[this.chosen];
  }

  get hasCodes() {
    return this.network.layers.at(-1).kind === "rbf";
  }

  makeSlider(group) {
    const label = document.createElement("label");
    label.className = "states";
    const output = document.createElement("output");
    const slider = document.createElement("input");
    slider.type = "range";
    slider.max = this.networks.length - 1;
    slider.value = this.chosen;
    const update = () => {
      this.chosen = Number(slider.value);
      output.textContent = group.states[this.chosen].name;
      if (this.pixels) this.show(this.pixels);
    };
    slider.addEventListener("input", update);
    label.append("State ", slider, " ", output);
    update();
    return label;
  }

  // Show what the network makes of pixels of 0 to 255.
  show(pixels) {
    this.pixels = pixels;
    const network = this.network;
    this.values = network.run(scalePixels(pixels, network));
    for (const [name, view] of this.views) {
      view.show(this.values[name], this.columnsFor(name));
    }
    this.showProbabilities(network.averageProbabilities(this.values));
    if (this.picked) this.pick(...this.picked);
  }

  // How a fully connected layer is folded: F6 as a bitmap where codes are bitmaps.
  columnsFor(name) {
    const values = this.values[name];
    if (values.channels !== 1 || values.height !== 1) return null;
    const n = values.width;
    const isBitmap = this.hasCodes && n === 84 && name === this.network.layers.at(-2).name;
    return isBitmap ? 7 : Math.min(n, 30);
  }

  clear(message) {
    this.pixels = this.values = this.picked = null;
    for (const view of this.views.values()) view.clear();
    this.bars.replaceChildren();
    this.answer.textContent = message;
  }

  showProbabilities(probabilities) {
    const { classes } = this.network;
    this.latest = probabilities;
    const order = probabilities.map((_, k) => k);
    order.sort((a, b) => probabilities[b] - probabilities[a]);
    const percent = (k) => `${(100 * probabilities[k]).toFixed(1)} %`;
    const [best, second] = order;
    const nViews = this.network.views.length + 1;
    const mean = nViews > 1 ? `, mean of ${nViews} views` : "";
    this.answer.textContent = `${classes[best]} (${percent(best)}), else ${classes[second]} (${percent(second)})${mean}`;
    // Many classes: the most probable ones only.
    const shown = classes.length <= MANY_CLASSES ? probabilities.map((_, k) => k) : order.slice(0, 10);
    this.bars.replaceChildren(
      ...shown.map((k) => {
        const item = document.createElement("li");
        item.classList.toggle("best", k === best);
        const name = document.createElement("span");
        name.textContent = classes[k];
        const bar = document.createElement("span");
        bar.className = "bar";
        bar.style.setProperty("--length", probabilities[k]);
        const value = document.createElement("span");
        value.textContent = percent(k);
        item.append(name, bar, value);
        if (this.hasCodes) item.append(this.drawCode(k));
        return item;
      })
    );
  }

  // A class' code as a bitmap, with its distance from F6 (equation 7).
  drawCode(k) {
    const layer = this.network.layers.at(-1);
    const n = layer.weight.length / this.network.classes.length;
    const columns = n === 84 ? 7 : Math.min(n, 30);
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = Math.ceil(n / columns);
    canvas.className = "code";
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    for (let j = 0; j < n; j++) {
      const grey = layer.weight[k * n + j] > 0 ? 255 : 0;
      image.data.set([grey, grey, grey, 255], 4 * j);
    }
    context.putImageData(image, 0, 0);
    const distance = document.createElement("span");
    distance.className = "distance";
    distance.append(canvas, `${(-this.values.output.data[k]).toFixed(1)}`);
    distance.title = "Squared distance of the last hidden layer from the code of this class";
    return distance;
  }

  // Outline what a unit depends on, and describe it.
  pick(name, unit) {
    this.picked = unit && [name, unit];
    for (const view of this.views.values()) view.mark(null);
    if (!unit || !this.values) {
      this.inspect(null);
      return;
    }
    const view = this.views.get(name);
    const { row, column, map } = unit;
    view.mark({ maps: [map], top: row, bottom: row + 1, left: column, right: column + 1, className: "unit" });
    const index = this.network.layers.findIndex((layer) => layer.name === name);
    if (index < 0) {
      this.inspect(describeUnit(this.network, this.values, view, unit, -1));
      return;
    }
    const isUnit = view.values.n !== undefined;
    const field = findReceptiveField(this.network, index, isUnit ? { row: 0, column: 0 } : unit);
    this.views.get("input").mark({ maps: [0], ...clipField(field, this.network) });
    this.inspect(describeUnit(this.network, this.values, view, unit, index, field));
  }

  // Decrease of the predicted class' log-probability when a window is covered: the mean over
  // the windows that cover a pixel, as in SaliencyDisplay(method="occlusion"), which moves
  // its window by single pixels and not, as here, by a third of its side.
  showOcclusion() {
    if (!this.pixels) return;
    const network = this.network;
    const [channels, height, width] = network.image_shape;
    const pixels = scalePixels(this.pixels, network);
    const best = this.latest.indexOf(Math.max(...this.latest));
    const probabilityOf = (some) => network.probabilities(network.run(some))[best];
    const logOf = (some) => Math.log(Math.max(probabilityOf(some), 1e-300));
    const before = logOf(pixels);
    const background = network.canvas.scaled ? network.canvas.low : 0;
    const side = Math.max(2, Math.floor(Math.min(height, width) / 4));
    const step = Math.max(1, Math.floor(side / 3));
    const fall = new Float64Array(height * width);
    const covered = new Float64Array(height * width);
    for (let i = 1 - side; i < height; i += step) {
      for (let j = 1 - side; j < width; j += step) {
        const changed = Float64Array.from(pixels);
        const places = [];
        for (let a = Math.max(i, 0); a < Math.min(i + side, height); a++) {
          for (let b = Math.max(j, 0); b < Math.min(j + side, width); b++) {
            places.push(a * width + b);
            for (let c = 0; c < channels; c++) changed[(c * height + a) * width + b] = background;
          }
        }
        const difference = before - logOf(changed);
        for (const place of places) {
          fall[place] += difference;
          covered[place] += 1;
        }
      }
    }
    const most = Math.max(...fall.map((value, k) => value / covered[k]), 1e-12);
    const overlay = document.createElement("canvas");
    overlay.className = "saliency";
    overlay.width = width;
    overlay.height = height;
    const context = overlay.getContext("2d");
    const image = context.createImageData(width, height);
    fall.forEach((value, k) => {
      const weight = Math.max(0, value / covered[k] / most);
      image.data.set([255, 120, 0, 220 * weight], 4 * k);
    });
    context.putImageData(image, 0, 0);
    const view = this.views.get("input");
    const { top, left, factor, shape } = network.canvas;
    overlay.style.top = `${(100 * top) / shape[1]}%`;
    overlay.style.left = `${(100 * left) / shape[2]}%`;
    overlay.style.height = `${(100 * height * factor) / shape[1]}%`;
    overlay.style.width = `${(100 * width * factor) / shape[2]}%`;
    view.marks.replaceChildren(overlay);
  }
}

// Bytes on the scale of the training data, as `sklenet predict` scales them.
function scalePixels(pixels, network) {
  const scaled = network.takes_bytes
    ? pixels
    : pixels.map((value) => network.canvas.low + (value / 255) * (network.canvas.high - network.canvas.low));
  return scaled.subarray(0, network.n_features);
}

function clipField({ top, bottom, left, right }, network) {
  const [, height, width] = network.canvas.shape;
  return { top, bottom: Math.min(bottom, height), left, right: Math.min(right, width) };
}

// What is said of a unit: its value, what it sees, and its weights as tiles.
function describeUnit(network, values, view, unit, index, field) {
  const { height, width, n, data } = view.values;
  const place = (unit.map * height + unit.row) * width + unit.column;
  const where =
    n === undefined ? `map ${unit.map}, row ${unit.row}, column ${unit.column}` : `unit ${place}`;
  const text = [`${view.name === "input" ? "Input" : view.name}, ${where}: ${data[place].toFixed(4)}.`];
  if (index < 0) return { text: text.join(" "), tiles: [] };
  const layer = network.layers[index];
  const before = index ? network.layers[index - 1].name : "input";
  const source = values[before];
  text.push(`It depends on rows ${field.top} to ${field.bottom - 1} and columns ${field.left} to ${field.right - 1} of the input.`);
  const tiles = [];
  if (layer.kind === "convolution") {
    const side = layer.kernel_size;
    const maps = layer.connections ? layer.connections[unit.map] : range(source.channels);
    text.push(`It sees ${maps.length === source.channels ? "all" : "the"} maps ${maps.join(", ")} of ${before}, each through a kernel.`);
    for (const m of maps) {
      const start = (unit.map * source.channels + m) * side * side;
      tiles.push({ title: `${m}`, side, data: layer.weight.subarray(start, start + side * side) });
    }
  } else if (layer.kind === "pooling") {
    const verb = { max: "the maximum", avg: "the mean", subsample: "a weighted sum" }[layer.pooling];
    text.push(`It is ${verb} of four units of map ${unit.map} of ${before}.`);
  } else {
    text.push(`It sees all ${source.data.length} units of ${before}.`);
    const perMap = source.height * source.width;
    if (source.height > 1) {
      for (let m = 0; m < source.channels; m++) {
        const start = place * source.data.length + m * perMap;
        tiles.push({ title: `${m}`, side: source.width, data: layer.weight.subarray(start, start + perMap) });
      }
    }
  }
  return { text: text.join(" "), tiles };
}
