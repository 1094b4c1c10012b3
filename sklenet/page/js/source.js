// What is shown to the models: a drawing, a photo, or an example, as pixels of 0 to 255.
//
// A source is {height, width, channels, data}: maps of channels one after the other.

// The grey value of a colour, with the weights that Pillow uses.
function toGrey(red, green, blue) {
  return Math.floor((19595 * red + 38470 * green + 7471 * blue + 32768) / 65536);
}

// A source from the RGBA pixels of a canvas.
function readCanvas(context, height, width) {
  const rgba = context.getImageData(0, 0, width, height).data;
  const n = height * width;
  const data = new Float64Array(3 * n);
  for (let k = 0; k < n; k++) {
    data[k] = rgba[4 * k];
    data[n + k] = rgba[4 * k + 1];
    data[2 * n + k] = rgba[4 * k + 2];
  }
  return { height, width, channels: 3, data };
}

function channelOf(source, c) {
  const n = source.height * source.width;
  const data = source.data.subarray(c * n, (c + 1) * n);
  return makeGrid(source.height, source.width, data);
}

function greyOf(source) {
  if (source.channels === 1) return channelOf(source, 0);
  const { height, width, data } = source;
  const n = height * width;
  const grey = makeGrid(height, width);
  for (let k = 0; k < n; k++) grey.data[k] = toGrey(data[k], data[n + k], data[2 * n + k]);
  return grey;
}

// The pixels that a model gets: framed as `sklenet predict` frames an image file.
function framePixels(source, model) {
  const [channels, height, width] = model.image_shape;
  const isOwnShape =
    source.channels === channels && source.height === height && source.width === width;
  if (isOwnShape && source.isExample) return source.data;
  if (model.framing === "digit") return frameDigit(greyOf(source), height, width).data;
  const maps =
    channels === 1
      ? [greyOf(source)]
      : [0, 1, 2].map((c) => channelOf(source, source.channels === 1 ? 0 : c));
  const fitted = maps.map((map) => fitWhole(map, height, width).data);
  const data = new Float64Array(channels * height * width);
  fitted.forEach((map, c) => data.set(map, c * height * width));
  return data;
}

// The whole image in another size, its proportions kept: sklenet/datasets/decoder.py.
function fitWhole(grid, height, width) {
  if (grid.height === height && grid.width === width) return grid;
  const scale = Math.min(width / grid.width, height / grid.height);
  const innerWidth = Math.max(1, roundHalfEven(grid.width * scale));
  const innerHeight = Math.max(1, roundHalfEven(grid.height * scale));
  const last = grid.data.length - 1;
  const corners = [0, grid.width - 1, last - grid.width + 1, last].map((k) => grid.data[k]);
  const fitted = makeGrid(height, width);
  fitted.data.fill(Math.floor(median(corners)));
  const inner = resize(grid, innerHeight, innerWidth, { isBox: scale < 1, bytes: true });
  const top = Math.floor((height - innerHeight) / 2);
  const left = Math.floor((width - innerWidth) / 2);
  for (let i = 0; i < innerHeight; i++) {
    const row = inner.data.subarray(i * innerWidth, (i + 1) * innerWidth);
    fitted.data.set(row, (top + i) * width + left);
  }
  return fitted;
}
