// Grids of numbers, and the operations of scipy.ndimage and Pillow that framing needs.
//
// A grid is {data, height, width}: values row by row. Masks hold 0 and 1 in bytes. All of
// this runs for every movement of the pen. Loops over pixels go by index, because iterators
// and functions called for each pixel take several times as long, and large arrays are
// reused, because making and collecting them takes longer than filling them.

function makeGrid(height, width, data) {
  return { data: data || new Float64Array(height * width), height, width };
}

function mapGrid(grid, f) {
  const result = makeGrid(grid.height, grid.width);
  for (let k = 0; k < grid.data.length; k++) result.data[k] = f(grid.data[k], k);
  return result;
}

function transpose(grid) {
  const result = makeGrid(grid.width, grid.height, new grid.data.constructor(grid.data.length));
  for (let i = 0; i < grid.height; i++) {
    for (let j = 0; j < grid.width; j++) {
      result.data[j * grid.height + i] = grid.data[i * grid.width + j];
    }
  }
  return result;
}

function maximum(values) {
  let most = -Infinity;
  for (let k = 0; k < values.length; k++) if (values[k] > most) most = values[k];
  return most;
}

function sum(values) {
  let total = 0;
  for (let k = 0; k < values.length; k++) total += values[k];
  return total;
}

// A mask of the values above a limit.
function isAbove(grid, limit) {
  const { data } = grid;
  const mask = new Uint8Array(data.length);
  for (let k = 0; k < data.length; k++) if (data[k] > limit) mask[k] = 1;
  return makeGrid(grid.height, grid.width, mask);
}

// Linear interpolation between order statistics, as numpy.quantile computes it.
function quantile(values, fraction) {
  return quantileInPlace(new Float64Array(values), fraction);
}

// The same, of an array that may be reordered.
function quantileInPlace(own, fraction) {
  const place = fraction * (own.length - 1);
  const below = Math.floor(place);
  const low = selectSmallest(own, below);
  if (place === below) return low;
  let next = Infinity; // everything behind `below` is at least as large
  for (let k = below + 1; k < own.length; k++) if (own[k] < next) next = own[k];
  return low + (place - below) * (next - low);
}

// Return the k-th smallest value, partially sorting the array in place (Hoare's selection).
function selectSmallest(values, k) {
  let first = 0;
  let last = values.length - 1;
  while (first < last) {
    const pivot = values[(first + last) >> 1];
    let i = first;
    let j = last;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i > j) break;
      const swapped = values[i];
      values[i++] = values[j];
      values[j--] = swapped;
    }
    if (k <= j) last = j;
    else if (k >= i) first = i;
    else break;
  }
  return values[k];
}

const median = (values) => quantile(values, 0.5);

// Halves are rounded to the even neighbour, as Python and NumPy round them.
function roundHalfEven(x) {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

const range = (n) => Array.from({ length: n }, (_, k) => k);

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

// Mean of each pixel's 3x3 neighbourhood; borders are reflected.
function meanFilter(grid) {
  const { height, width, data } = grid;
  const rows = new Float64Array(data.length);
  const result = new Float64Array(data.length);
  for (let i = 0; i < height; i++) {
    const first = i * width;
    const last = first + width - 1;
    for (let k = first; k <= last; k++) {
      const left = data[k > first ? k - 1 : k];
      const right = data[k < last ? k + 1 : k];
      rows[k] = (left + data[k] + right) / 3;
    }
  }
  for (let i = 0; i < height; i++) {
    const above = i > 0 ? -width : 0;
    const below = i < height - 1 ? width : 0;
    for (let k = i * width; k < (i + 1) * width; k++) {
      result[k] = (rows[k + above] + rows[k] + rows[k + below]) / 3;
    }
  }
  return makeGrid(height, width, result);
}

// Dilate a mask by a cross of three pixels, `iterations` times.
function dilate(mask, iterations) {
  const { height, width } = mask;
  let current = mask.data;
  for (let n = 0; n < iterations; n++) {
    const next = new Uint8Array(current);
    for (let i = 0; i < height; i++) {
      const first = i * width;
      const last = first + width - 1;
      for (let k = first; k <= last; k++) {
        if (current[k] === 0) continue;
        if (i > 0) next[k - width] = 1;
        if (i < height - 1) next[k + width] = 1;
        if (k > first) next[k - 1] = 1;
        if (k < last) next[k + 1] = 1;
      }
    }
    current = next;
  }
  return makeGrid(height, width, current);
}

// Label the connected components of a mask in the order of their first pixel.
// Returns {labels, count}: a grid of 0 (background) and 1 to count.
function label(mask, withDiagonals) {
  const { height, width, data } = mask;
  const labels = new Int32Array(data.length);
  const stack = [];
  let count = 0;
  for (let start = 0; start < data.length; start++) {
    if (data[start] === 0 || labels[start] !== 0) continue;
    count += 1;
    labels[start] = count;
    stack.push(start);
    while (stack.length) {
      const place = stack.pop();
      const j = place % width;
      const i = (place - j) / width;
      for (let a = i > 0 ? -1 : 0; a <= (i < height - 1 ? 1 : 0); a++) {
        for (let b = j > 0 ? -1 : 0; b <= (j < width - 1 ? 1 : 0); b++) {
          if (a !== 0 && b !== 0 && !withDiagonals) continue;
          const next = place + a * width + b;
          if (data[next] === 0 || labels[next] !== 0) continue;
          labels[next] = count;
          stack.push(next);
        }
      }
    }
  }
  return { labels: makeGrid(height, width, labels), count };
}

// Sum `values` over each label from 1 to `count`.
function sumByLabel(values, labels, count) {
  const sums = new Float64Array(count);
  for (let k = 0; k < labels.data.length; k++) {
    const which = labels.data[k];
    if (which) sums[which - 1] += values.data[k];
  }
  return sums;
}

// Bounding boxes {top, bottom, left, right} of labels 1 to `count`; ends are exclusive.
function findBoxes(labels, count) {
  const boxes = Array.from({ length: count }, () => ({
    top: Infinity,
    bottom: 0,
    left: Infinity,
    right: 0,
  }));
  for (let i = 0, k = 0; i < labels.height; i++) {
    for (let j = 0; j < labels.width; j++, k++) {
      const which = labels.data[k];
      if (!which) continue;
      const box = boxes[which - 1];
      if (i < box.top) box.top = i;
      box.bottom = i + 1;
      if (j < box.left) box.left = j;
      if (j >= box.right) box.right = j + 1;
    }
  }
  return boxes;
}

// Weights of Pillow's BOX or BILINEAR filter along one axis.
function resamplingWeights(from, to, isBox) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = (isBox ? 0.5 : 1) * stretch;
  const weigh = isBox
    ? (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)
    : (x) => Math.max(0, 1 - Math.abs(x));
  return Array.from({ length: to }, (_, k) => {
    const centre = (k + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const stop = Math.min(from, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let place = first; place < stop; place++) {
      weights.push(weigh((place - centre + 0.5) / stretch));
    }
    const total = sum(weights);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

// Resize a grid as Pillow does, with its BOX or its BILINEAR filter.
// With `bytes`, values are rounded to integers after each of the two passes.
function resize(grid, height, width, { isBox, bytes = false }) {
  const store = bytes ? (x) => clamp(Math.floor(x + 0.5), 0, 255) : Math.fround;
  const across = resamplingWeights(grid.width, width, isBox);
  const down = resamplingWeights(grid.height, height, isBox);
  const half = makeGrid(grid.height, width);
  for (let i = 0; i < grid.height; i++) {
    for (let j = 0; j < width; j++) {
      const { first, weights } = across[j];
      let total = 0;
      const from = i * grid.width + first;
      for (let k = 0; k < weights.length; k++) total += weights[k] * grid.data[from + k];
      half.data[i * width + j] = store(total);
    }
  }
  const result = makeGrid(height, width);
  for (let i = 0; i < height; i++) {
    const { first, weights } = down[i];
    for (let j = 0; j < width; j++) {
      let total = 0;
      for (let k = 0; k < weights.length; k++) {
        total += weights[k] * half.data[(first + k) * width + j];
      }
      result.data[i * width + j] = store(total);
    }
  }
  return result;
}

// Solve a small system of linear equations; singular directions get 0.
function solve(matrix, right) {
  const n = right.length;
  const rows = matrix.map((row, i) => [...row, right[i]]);
  const scale = maximum(matrix.map((row) => maximum(row.map(Math.abs)))) || 1;
  const pivots = [];
  let rank = 0;
  for (let column = 0; column < n && rank < n; column++) {
    let best = rank;
    for (let i = rank + 1; i < n; i++) {
      if (Math.abs(rows[i][column]) > Math.abs(rows[best][column])) best = i;
    }
    if (Math.abs(rows[best][column]) <= 1e-13 * scale) continue;
    [rows[rank], rows[best]] = [rows[best], rows[rank]];
    for (let i = 0; i < n; i++) {
      if (i === rank) continue;
      const factor = rows[i][column] / rows[rank][column];
      for (let j = column; j <= n; j++) rows[i][j] -= factor * rows[rank][j];
    }
    pivots[rank] = column;
    rank += 1;
  }
  const solution = new Array(n).fill(0);
  for (let k = 0; k < rank; k++) solution[pivots[k]] = rows[k][n] / rows[k][pivots[k]];
  return solution;
}

// Fit a polynomial by least squares; returns a function.
function fitPolynomial(xs, ys, degree) {
  const centre = sum(xs) / xs.length;
  const spread = Math.max(...xs.map((x) => Math.abs(x - centre)), 1);
  const powers = xs.map((x) => {
    const t = (x - centre) / spread;
    return Array.from({ length: degree + 1 }, (_, k) => t ** k);
  });
  const matrix = Array.from({ length: degree + 1 }, (_, a) =>
    Array.from({ length: degree + 1 }, (_, b) => sum(powers.map((p) => p[a] * p[b])))
  );
  const right = matrix.map((_, a) => sum(powers.map((p, n) => p[a] * ys[n])));
  const coefficients = solve(matrix, right);
  return (x) => {
    const t = (x - centre) / spread;
    return coefficients.reduceRight((value, c) => value * t + c, 0);
  };
}
