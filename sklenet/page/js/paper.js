// Separate the ink on a page from its paper: sklenet/framing/paper.py, step by step.

const WORKING_SIDE = 512;
const LEAST_CONTRAST = 40; // of 255 levels

function findInk(image) {
  const pixels = shrink(image, WORKING_SIDE);
  const paper = fitPaper(pixels);
  const ink = makeGrid(pixels.height, pixels.width);
  const { data } = ink;
  for (let k = 0; k < data.length; k++) data[k] = pixels.data[k] - paper.data[k];
  const smooth = meanFilter(ink).data;
  let darker = -Infinity;
  for (let k = 0; k < smooth.length; k++) if (-smooth[k] > darker) darker = -smooth[k];
  const brighter = maximum(smooth);
  checkContrast(Math.max(darker, brighter));
  const sign = brighter > darker ? 1 : -1;
  for (let k = 0; k < data.length; k++) data[k] = Math.max(sign * data[k], 0);
  return ink;
}

// The largest difference of an area of 3x3 pixels from the paper.
function measureContrast(ink) {
  return maximum(meanFilter(ink).data);
}

function checkContrast(contrast) {
  if (contrast < LEAST_CONTRAST) {
    throw new Error("Nothing to read yet: no digit stands out from the background.");
  }
}

function shrink(image, side) {
  const factor = side / Math.max(image.height, image.width);
  if (factor >= 1) return image;
  const [height, width] = [image.height, image.width].map((length) =>
    Math.max(1, roundHalfEven(length * factor))
  );
  return resize(image, height, width, { isBox: true, bytes: true });
}

// The background: the quadratic surface that most pixels lie on.
function fitPaper(image) {
  const { height, width, data } = image;
  const coordinate = (k, n) => (n === 1 ? -1 : -1 + (2 * k) / (n - 1));
  const ys = Float64Array.from({ length: height }, (_, i) => coordinate(i, height));
  const xs = Float64Array.from({ length: width }, (_, j) => coordinate(j, width));
  // A regular sample is enough for six coefficients.
  const step = Math.max(1, Math.floor(data.length / 20000));
  const n = Math.ceil(data.length / step);
  const kept = new Uint8Array(n).fill(1);
  const errors = new Float64Array(n);
  const ordered = new Float64Array(n);
  const surface = new Float64Array(data.length);
  // Each time without the pixels far from the surface: the ink.
  for (let iteration = 0; iteration < 6; iteration++) {
    evaluateQuadric(surface, fitQuadric(data, ys, xs, step, kept), ys, xs);
    for (let k = 0; k < n; k++) errors[k] = Math.abs(data[k * step] - surface[k * step]);
    ordered.set(errors);
    const limit = 3 * quantileInPlace(ordered, 0.5);
    let changed = false;
    for (let k = 0; k < n; k++) {
      const keep = errors[k] <= limit ? 1 : 0;
      changed ||= keep !== kept[k];
      kept[k] = keep;
    }
    if (!changed) break;
  }
  return makeGrid(height, width, surface);
}

// Fill an array with the values of a quadratic surface, row by row.
function evaluateQuadric(values, [constant, y1, x1, yx, yy, xx], ys, xs) {
  for (let i = 0, k = 0; i < ys.length; i++) {
    const start = constant + (y1 + yy * ys[i]) * ys[i];
    const slope = x1 + yx * ys[i];
    for (let j = 0; j < xs.length; j++, k++) values[k] = start + (slope + xx * xs[j]) * xs[j];
  }
}

// Coefficients of 1, y, x, yx, yy and xx, by least squares over the sampled pixels.
function fitQuadric(data, ys, xs, step, kept) {
  // Sums of y^a x^b, and of pixel y^a x^b, row by row.
  const moments = new Float64Array(25);
  const right = new Float64Array(9);
  const nColumns = xs.length;
  const inRow = new Float64Array(5);
  const pixels = new Float64Array(3);
  for (let i = 0; i < ys.length; i++) {
    inRow.fill(0);
    pixels.fill(0);
    const firstSample = Math.ceil((i * nColumns) / step);
    const lastSample = Math.ceil(((i + 1) * nColumns) / step);
    for (let k = firstSample; k < lastSample; k++) {
      if (!kept[k]) continue;
      const x = xs[k * step - i * nColumns];
      const pixel = data[k * step];
      const square = x * x;
      inRow[0] += 1;
      inRow[1] += x;
      inRow[2] += square;
      inRow[3] += square * x;
      inRow[4] += square * square;
      pixels[0] += pixel;
      pixels[1] += pixel * x;
      pixels[2] += pixel * square;
    }
    for (let a = 0, power = 1; a < 5; a++, power *= ys[i]) {
      for (let b = 0; b < 5; b++) moments[5 * a + b] += power * inRow[b];
      if (a < 3) for (let b = 0; b < 3; b++) right[3 * a + b] += power * pixels[b];
    }
  }
  const powers = [[0, 0], [1, 0], [0, 1], [1, 1], [2, 0], [0, 2]]; // of y and of x
  const matrix = powers.map(([a, b]) => powers.map(([c, d]) => moments[5 * (a + c) + b + d]));
  return solve(matrix, powers.map(([a, b]) => right[3 * a + b]));
}
