// Remove the lines of a page: underlines, ruled paper, boxes and forms.
// sklenet/framing/lines.py, step by step; see there for the reasons.

const FAINT = 0.2;
const LEAST_LENGTH = 0.1; // of the side of the page
const LEAST_RATIO = 5; // length over width
const SURE_RATIO = 8;
const MOST_WIDTH = 0.04; // of the side of the page
const MOST_SLOPE = 0.1;
const SPANNING = 0.94;

// A line, horizontal in its own grid: row `at[k]` in column `start + k`.
class Line {
  constructor(start, at, width) {
    this.start = start;
    this.at = at;
    this.width = width;
  }

  get stop() {
    return this.start + this.at.length;
  }

  get isSure() {
    return this.at.length >= SURE_RATIO * this.width;
  }

  // Whether the line is longer than something, on both sides.
  reachesBeyond([first, last], margin) {
    return this.start < first - margin && this.stop > last + margin;
  }

  // Whether a place is on the line, or nearly.
  touches(row, column, margin) {
    const k = clamp(roundHalfEven(column) - this.start, 0, this.at.length - 1);
    const reach = this.width / 2 + margin;
    const beyond = Math.max(this.start - column, column - this.stop, 0);
    return Math.abs(this.at[k] - row) <= reach && beyond <= margin;
  }
}

function removeLines(ink) {
  const limit = FAINT * measureContrast(ink);
  const mask = isAbove(ink, limit);
  const horizontal = findLines(mask);
  const vertical = findLines(transpose(mask));
  if (!horizontal.length && !vertical.length) return ink;
  const margin = 0.02 * Math.max(ink.height, ink.width);
  // The side of a box and a line through the page are lines, whatever else is there; any
  // other line must reach beyond the digit, of which it may be a stroke otherwise.
  const isLine = (line, others, side) =>
    isSideOfBox(line, others, margin) || line.at.length >= SPANNING * side;
  const sureHorizontal = horizontal.filter((k) => isLine(k, vertical, mask.width));
  const sureVertical = vertical.filter((k) => isLine(k, horizontal, mask.height));
  let extent = findExtent(eraseBoth(ink, mask, horizontal, vertical), mask);
  // Without ink, the digit is a straight vertical stroke itself.
  extent ||= findExtent(eraseBoth(ink, mask, horizontal, []), mask);
  if (extent) {
    const { rows, columns } = extent;
    sureHorizontal.push(
      ...horizontal.filter((k) => k.isSure && k.reachesBeyond(columns, margin))
    );
    sureVertical.push(
      ...vertical.filter(
        (k) => k.isSure && k.reachesBeyond(rows, margin) && hasPartner(k, vertical, columns)
      )
    );
  }
  const rest = eraseBoth(ink, mask, sureHorizontal, sureVertical);
  return findExtent(rest, mask) ? rest : ink;
}

// Whether a line is the side of a box: its ends are on lines of its width.
function isSideOfBox(line, others, margin) {
  const similar = others.filter(
    (other) =>
      (line.isSure || other.isSure) &&
      Math.abs(other.width - line.width) <=
        Math.max(2, 0.5 * Math.min(other.width, line.width))
  );
  const last = line.at.length - 1;
  const ends = [
    [line.start, line.at[0]],
    [line.stop - 1, line.at[last]],
  ];
  return ends.every(([column, row]) =>
    similar.some((other) => other.touches(column, row, margin))
  );
}

// Whether another line is about as long, on the other side of something.
function hasPartner(line, lines, [first, last]) {
  const at = median(line.at);
  return lines.some((other) => {
    const common = Math.min(line.stop, other.stop) - Math.max(line.start, other.start);
    const [low, high] = [at, median(other.at)].sort((a, b) => a - b);
    const longer = Math.max(line.at.length, other.at.length);
    return common >= 0.8 * longer && low < first && high > last;
  });
}

// The rows and columns that most of the ink is in, or null without ink.
function findExtent(ink, mask) {
  const inked = mapGrid(ink, (value, k) => (value > 0 && mask.data[k] ? 1 : 0));
  const { labels, count } = label(inked, true);
  const weights = sumByLabel(ink, labels, count);
  const most = maximum(weights);
  if (!count || most < 0.02 * sum(mask.data) * maximum(ink.data)) return null;
  const main = mapGrid(labels, (which) =>
    which && weights[which - 1] >= 0.25 * most ? 1 : 0
  );
  const box = findBoxes(main, 1)[0];
  return { rows: [box.top, box.bottom - 1], columns: [box.left, box.right - 1] };
}

// For each pixel of the mask, where its run in the column begins and ends.
function findRuns(mask) {
  const { height, width, data } = mask;
  const first = makeGrid(height, width, borrowArray(Int32Array, data.length));
  const last = makeGrid(height, width, borrowArray(Int32Array, data.length));
  for (let i = 0, k = 0; i < height; i++) {
    for (const end = k + width; k < end; k++) {
      const begins = data[k] !== 0 && (i === 0 || data[k - width] === 0);
      first.data[k] = begins ? i : i > 0 ? first.data[k - width] : 0;
    }
  }
  for (let i = height - 1, k = data.length - 1; i >= 0; i--) {
    for (const end = k - width; k > end; k--) {
      const ends = data[k] !== 0 && (i === height - 1 || data[k + width] === 0);
      last.data[k] = ends ? i : i < height - 1 ? last.data[k + width] : height;
    }
  }
  return { first, last };
}

// The nearly horizontal lines.
function findLines(mask) {
  const side = Math.max(mask.height, mask.width);
  const runs = findRuns(mask);
  const thickest = Math.max(3, MOST_WIDTH * side);
  const thin = makeGrid(mask.height, mask.width, borrowArray(Uint8Array, mask.data.length));
  for (let k = 0; k < thin.data.length; k++) {
    const length = runs.last.data[k] - runs.first.data[k] + 1;
    if (mask.data[k] !== 0 && length <= thickest) thin.data[k] = 1;
  }
  const { labels, count } = label(thin, true);
  const seeds = findBoxes(labels, count)
    .map((box, k) => ({ box, which: k + 1, length: boxWidth(box) }))
    // A single column has no slope, which matters on very small pages only.
    .filter((seed) => seed.length >= Math.max(2, LEAST_LENGTH * side))
    .sort((a, b) => b.length - a.length || a.which - b.which);
  const lines = [];
  for (const { box, which } of seeds) {
    const line = followLine(mask, thin, runs, labels, which, box);
    if (line && !lines.some((other) => isPartOf(line, other))) lines.push(line);
  }
  return lines;
}

function isPartOf(line, other) {
  const middle = Math.floor(line.at.length / 2);
  return other.touches(line.at[middle], line.start + middle, line.width);
}

// The line that a component of thin runs is a piece of, if it is one.
function followLine(mask, thin, runs, labels, which, box) {
  const { height, width: nColumns } = mask;
  const columns = [];
  const middles = [];
  const widths = [];
  for (let j = box.left; j < box.right; j++) {
    let row = 0;
    while (row < height && labels.data[row * nColumns + j] !== which) row++;
    if (row === height) row = 0;
    const k = row * nColumns + j;
    columns.push(j);
    middles.push((runs.first.data[k] + runs.last.data[k]) / 2);
    widths.push(runs.last.data[k] - runs.first.data[k] + 1);
  }
  const straight = fitPolynomial(columns, middles, 1);
  const slope = straight(1) - straight(0);
  const distances = middles.map((middle, k) => Math.abs(middle - straight(columns[k])));
  if (Math.abs(slope) > MOST_SLOPE || quantile(distances, 0.9) > 3) return null;

  // Along the whole page: what lies on this line, whether in thin runs or across strokes.
  const all = Array.from({ length: nColumns }, (_, j) => j);
  let width = median(widths);
  let at = all.map(straight);
  let near;
  for (let n = 0; n < 2; n++) {
    near = findRunsAt(thin, runs, at, width);
    const found = all.filter((j) => near.found[j]);
    if (found.length < 2) return null;
    width = median(found.map((j) => near.width[j]));
    const close = found.filter((j) => Math.abs(near.middle[j] - at[j]) <= 2 + width / 2);
    if (close.length < 2) return null;
    const degree = close.length > Math.max(2, 0.3 * nColumns) ? 2 : 1;
    at = all.map(fitPolynomial(close, close.map((j) => near.middle[j]), degree));
  }
  const covered = findRunsAt(mask, runs, at, width).found;
  const [start, stop] = findStretch(covered, Math.floor((box.left + box.right) / 2));
  const side = Math.max(mask.height, mask.width);
  if (stop - start < Math.max(LEAST_RATIO * width, LEAST_LENGTH * side)) return null;
  // Some columns may have the stroke of a digit along the line.
  const inside = all.slice(start, stop).filter((j) => near.found[j]);
  const even = inside.filter(
    (j) =>
      Math.abs(near.width[j] - width) <= Math.max(1.5, 0.5 * width) &&
      Math.abs(near.middle[j] - at[j]) <= 1.5
  );
  if (inside.length < 0.4 * (stop - start) || even.length < 0.7 * inside.length) return null;
  return new Line(start, at.slice(start, stop), width);
}

// Which columns have a run near a line, and the runs' middles and widths.
function findRunsAt(mask, { first, last }, at, width) {
  const n = mask.width;
  const result = { found: new Uint8Array(n), middle: new Float64Array(n), width: new Float64Array(n) };
  const reach = Math.ceil(width / 2 + 1);
  const offsets = [0];
  for (let k = 1; k <= reach; k++) offsets.push(-k, k);
  for (let j = 0; j < n; j++) {
    let row = 0;
    for (const offset of offsets) {
      const here = roundHalfEven(at[j] + offset);
      if (here >= 0 && here < mask.height && mask.data[here * n + j]) {
        result.found[j] = 1;
        row = here;
        break;
      }
    }
    const top = first.data[row * n + j];
    const bottom = last.data[row * n + j];
    result.middle[j] = (top + bottom) / 2;
    result.width[j] = bottom - top + 1;
  }
  return result;
}

// The stretch around a column without a large gap.
function findStretch(covered, middle) {
  const gap = Math.max(3, Math.floor(covered.length / 80));
  const closed = Uint8Array.from(covered);
  let previous = -Infinity;
  covered.forEach((value, j) => {
    if (!value) return;
    if (j - previous <= gap) closed.fill(1, previous, j);
    previous = j;
  });
  if (!closed[middle]) return [middle, middle];
  let start = middle;
  while (start > 0 && closed[start - 1]) start--;
  let stop = middle + 1;
  while (stop < closed.length && closed[stop]) stop++;
  return [start, stop];
}

// The ink without lines and without their crossings.
function eraseBoth(ink, mask, horizontal, vertical) {
  const rest = transpose(
    eraseLines(transpose(eraseLines(ink, mask, horizontal)), transpose(mask), vertical)
  );
  const across = markLines(horizontal, mask.height, mask.width);
  const down = transpose(markLines(vertical, mask.width, mask.height));
  rest.data.forEach((_, k) => {
    if (across.data[k] && down.data[k]) rest.data[k] = 0;
  });
  return rest;
}

// The pixels that horizontal lines take up.
function markLines(lines, height, width) {
  const marked = makeGrid(height, width, borrowArray(Uint8Array, height * width));
  for (const line of lines) {
    line.at.forEach((row, k) => {
      const reach = line.width / 2 + 1.5;
      // The ends of the lines of a box lie a little before its corners.
      const left = Math.max(line.start + k - 4, 0);
      const right = Math.min(line.start + k + 5, width);
      const top = Math.max(Math.ceil(row - reach), 0);
      const bottom = Math.min(Math.floor(row + reach), height - 1);
      for (let i = top; i <= bottom; i++) marked.data.fill(1, i * width + left, i * width + right);
    });
  }
  return marked;
}

// The ink without horizontal lines, but with the strokes that cross them.
function eraseLines(ink, mask, lines) {
  const rest = makeGrid(ink.height, ink.width, Float64Array.from(ink.data));
  const runs = findRuns(mask);
  for (const line of lines) {
    const at = new Float64Array(mask.width).fill(-9);
    at.set(line.at, line.start);
    const near = findRunsAt(mask, runs, at, line.width);
    for (let j = line.start; j < line.stop; j++) {
      const isAlone =
        near.found[j] &&
        near.width[j] <= 1.5 * line.width + 2 &&
        Math.abs(near.middle[j] - at[j]) <= line.width / 2 + 2;
      if (!isAlone) continue;
      // With the pixels beside it, which are grey.
      const reach = near.width[j] / 2 + 1.5;
      const top = Math.max(Math.ceil(near.middle[j] - reach), 0);
      const bottom = Math.min(Math.floor(near.middle[j] + reach), mask.height - 1);
      for (let i = top; i <= bottom; i++) rest.data[i * mask.width + j] = 0;
    }
  }
  return rest;
}
