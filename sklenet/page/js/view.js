// Pictures of layers: every unit is a square, every map a tile.

const GAP = 1; // units between tiles

class LayerView {
  // `pick` is called with a unit {map, row, column} that is pointed at, or null.
  constructor(name, pick) {
    this.name = name;
    this.pick = pick;
    this.unit = { map: 0, row: 0, column: 0 };
    this.figure = document.createElement("figure");
    this.figure.className = "layer";
    this.caption = document.createElement("figcaption");
    this.frame = document.createElement("div");
    this.frame.className = "frame";
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.marks = document.createElement("div");
    this.marks.className = "marks";
    this.frame.append(this.canvas, this.marks);
    this.figure.append(this.caption, this.frame);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.pick(null));
    this.canvas.addEventListener("focus", () => this.values && this.pick(this.unit));
    this.canvas.addEventListener("blur", () => this.pick(null));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
  }

  // Arrange values in tiles; fully connected layers as rows of units.
  show(values, columnsOfUnits = null) {
    this.values = columnsOfUnits ? foldUnits(values, columnsOfUnits) : values;
    const { channels, height, width } = this.values;
    const isColour = this.name === "input" && channels === 3;
    const n = isColour ? 1 : channels;
    this.tiles = { count: n, columns: n <= 8 ? n : Math.ceil(n / Math.ceil(n / 8)) };
    const rows = Math.ceil(n / this.tiles.columns);
    const canvas = this.canvas;
    const [w, h] = [
      this.tiles.columns * (width + GAP) - GAP,
      rows * (height + GAP) - GAP,
    ];
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
      const unit = this.name === "input" ? 5 : channels === 1 ? 9 : height > 16 ? 3 : 5;
      this.frame.style.width = `${w * unit}px`;
      this.frame.style.aspectRatio = `${w} / ${h}`;
    }
    this.describe();
    this.paint(isColour);
  }

  describe() {
    const { channels, height, width, n = null } = this.values;
    const size = n === null ? `${channels} @ ${height}×${width}` : `${n} units`;
    this.caption.textContent = this.name === "input" ? `Input ${height}×${width}` : "";
    if (this.name !== "input") {
      const name = document.createElement("b");
      name.textContent = this.name;
      this.caption.append(name, ` ${size}`);
    }
    const kind = n === null ? `${channels} maps of ${height} by ${width} units` : `${n} units`;
    this.canvas.setAttribute("aria-label", `Layer ${this.name}: ${kind}. Arrow keys choose a unit.`);
  }

  paint(isColour) {
    const { channels, height, width, data, n } = this.values;
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(this.canvas.width, this.canvas.height);
    let low = Infinity;
    let high = -Infinity;
    const count = n ?? data.length;
    for (let k = 0; k < count; k++) {
      if (data[k] < low) low = data[k];
      if (data[k] > high) high = data[k];
    }
    const scale = 255 / (high - low || 1);
    for (let map = 0; map < (isColour ? 1 : channels); map++) {
      const top = Math.floor(map / this.tiles.columns) * (height + GAP);
      const left = (map % this.tiles.columns) * (width + GAP);
      for (let i = 0; i < height; i++) {
        for (let j = 0; j < width; j++) {
          const from = (map * height + i) * width + j;
          if (from >= count) continue;
          const to = 4 * ((top + i) * image.width + left + j);
          for (let c = 0; c < 3; c++) {
            const place = isColour ? from + c * height * width : from;
            image.data[to + c] = (data[place] - low) * scale;
          }
          image.data[to + 3] = 255;
        }
      }
    }
    context.putImageData(image, 0, 0);
  }

  clear() {
    this.values = null;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.mark(null);
  }

  point(event) {
    if (!this.values) return;
    const box = this.canvas.getBoundingClientRect();
    const { height, width } = this.values;
    const x = Math.floor(((event.clientX - box.left) * this.canvas.width) / box.width);
    const y = Math.floor(((event.clientY - box.top) * this.canvas.height) / box.height);
    const unit = {
      map: Math.floor(y / (height + GAP)) * this.tiles.columns + Math.floor(x / (width + GAP)),
      row: y % (height + GAP),
      column: x % (width + GAP),
    };
    if (this.has(unit)) this.choose(unit);
  }

  has({ map, row, column }) {
    const { height, width, n } = this.values;
    const isInside =
      map >= 0 && map < this.tiles.count && row >= 0 && row < height && column >= 0 && column < width;
    return isInside && (n === undefined || row * width + column < n);
  }

  choose(unit) {
    this.unit = unit;
    this.pick(unit);
  }

  press(event) {
    if (!this.values) return;
    const moves = {
      ArrowLeft: { column: -1 },
      ArrowRight: { column: 1 },
      ArrowUp: { row: -1 },
      ArrowDown: { row: 1 },
      PageUp: { map: -1 },
      PageDown: { map: 1 },
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const next = { ...this.unit };
    for (const [name, step] of Object.entries(move)) next[name] += step;
    if (this.has(next)) this.choose(next);
  }

  // Outline a rectangle of units of one map, and on the input of all.
  mark(area) {
    this.marks.replaceChildren();
    if (!area || !this.values) return;
    const { height, width } = this.values;
    for (const map of area.maps) {
      const outline = document.createElement("span");
      outline.className = area.className || "field";
      const top = Math.floor(map / this.tiles.columns) * (height + GAP) + area.top;
      const left = (map % this.tiles.columns) * (width + GAP) + area.left;
      outline.style.top = `${(100 * top) / this.canvas.height}%`;
      outline.style.left = `${(100 * left) / this.canvas.width}%`;
      outline.style.height = `${(100 * (area.bottom - area.top)) / this.canvas.height}%`;
      outline.style.width = `${(100 * (area.right - area.left)) / this.canvas.width}%`;
      this.marks.append(outline);
    }
  }
}

// Units of a fully connected layer in rows of `columns`; `n` are used.
function foldUnits(values, columns) {
  const n = values.data.length;
  const rows = Math.ceil(n / columns);
  const data = new Float64Array(rows * columns);
  data.set(values.data);
  return { channels: 1, height: rows, width: columns, data, n };
}

// The rows and columns of the input that a unit of layer `index` depends on.
function findReceptiveField(network, index, { row, column }) {
  const [, height, width] = network.canvas.shape;
  let [top, bottom, left, right] = [row, row + 1, column, column + 1];
  for (let k = index; k >= 0; k--) {
    const layer = network.layers[k];
    if (layer.kind === "convolution") {
      bottom += layer.kernel_size - 1;
      right += layer.kernel_size - 1;
    } else if (layer.kind === "pooling") {
      [top, bottom, left, right] = [2 * top, 2 * bottom, 2 * left, 2 * right];
    } else {
      return { top: 0, bottom: height, left: 0, right: width };
    }
  }
  return { top, bottom, left, right };
}
