// Find the digit on a page and frame it as MNIST's digits are framed:
// sklenet/framing/digits.py, step by step.

const DIGIT_BOX = 20 / 28; // MNIST's digits fill a box of 20 of 28 pixels
const MOST_INK = 0.4;
const WIDEST = 1.7; // width over height

const boxHeight = (box) => box.bottom - box.top;
const boxWidth = (box) => box.right - box.left;

// Return the one digit of an image as a grid of height x width, bright on black.
function frameDigit(image, height, width) {
  const digits = findDigits(findStrokes(image));
  if (digits.length > 1) {
    throw new Error(`There are ${digits.length} digits, but one is read at a time.`);
  }
  return frameInk(digits[0].own, digits[0].box, height, width);
}

// The ink of the strokes, without lines of the page and without noise.
function findStrokes(image) {
  const ink = removeLines(findInk(image));
  const contrast = measureContrast(ink);
  checkContrast(contrast);
  // A pen has one darkness: less than half of it is the stroke's edge, or noise.
  const strokes = isAbove(ink, contrast / 2);
  if (sum(strokes.data) / strokes.data.length > MOST_INK) {
    throw new Error("No single digit on a plain background: it covers too much of the image.");
  }
  const near = dilate(strokes, 2).data;
  const kept = makeGrid(ink.height, ink.width);
  for (let k = 0; k < near.length; k++) {
    const value = ink.data[k];
    if (near[k] !== 0 && value > contrast / 6) kept.data[k] = Math.min(value, contrast);
  }
  return kept;
}

// The ink of each digit, and the box around it, from left to right.
function findDigits(ink) {
  let tallest = maximum(labelInk(ink, 1).boxes.map(boxHeight));
  // Broken strokes are one digit.
  const reach = Math.max(1, roundHalfEven(0.035 * tallest));
  const { labels, boxes, weights } = labelInk(ink, reach);
  let digits = joinComponents(boxes, weights).map((group) => {
    const own = selectInk(ink, labels, new Set(group.map((k) => k + 1)));
    const weight = sum(group.map((k) => weights[k]));
    return { own, box: boundingBox(own), weight };
  });
  const heaviest = maximum(digits.map((digit) => digit.weight));
  tallest = maximum(digits.map((digit) => boxHeight(digit.box)));
  digits = digits.filter(
    ({ box, weight }) =>
      weight >= 0.25 * heaviest ||
      (boxHeight(box) >= 0.5 * tallest && weight >= 0.08 * heaviest)
  );
  for (const { own, box } of digits) checkDigit(own, box, tallest);
  return digits.sort((a, b) => a.box.left - b.box.left);
}

// The ink whose labels are in a set.
function selectInk(ink, labels, members) {
  const own = makeGrid(ink.height, ink.width);
  for (let k = 0; k < own.data.length; k++) {
    const which = labels.data[k];
    if (which !== 0 && members.has(which)) own.data[k] = ink.data[k];
  }
  return own;
}

// Components of the ink; those closer than twice `reach` are one.
function labelInk(ink, reach) {
  const mask = isAbove(ink, 0);
  const { labels, count } = label(dilate(mask, reach), false);
  for (let k = 0; k < mask.data.length; k++) if (mask.data[k] === 0) labels.data[k] = 0;
  return { labels, boxes: findBoxes(labels, count), weights: sumByLabel(ink, labels, count) };
}

// Which components are one digit, such as the two strokes of a 5. A small component
// belongs to the larger one above, below or close to it.
function joinComponents(boxes, weights) {
  const groups = [];
  const order = boxes.map((_, k) => k).sort((a, b) => weights[b] - weights[a] || a - b);
  for (const k of order) {
    const group = groups.find(([first]) =>
      belongsTo(boxes[k], boxes[first], weights[k] / weights[first])
    );
    if (group) group.push(k);
    else groups.push([k]);
  }
  return groups;
}

function belongsTo(box, frame, weight) {
  const above = Math.max(box.top, frame.top) - Math.min(box.bottom, frame.bottom);
  const beside = Math.max(box.left, frame.left) - Math.min(box.right, frame.right);
  const tall = boxHeight(frame);
  const wide = boxWidth(frame);
  const longer = Math.max(tall, wide);
  const isStroke = boxHeight(box) < 0.75 * longer && boxWidth(box) < 1.5 * longer;
  if (-beside >= 0.3 * boxWidth(box) && above <= (isStroke ? 0.3 * tall : 0.1 * wide)) {
    return true;
  }
  return weight < 0.3 && Math.max(above, beside) <= 0.12 * tall;
}

function checkDigit(own, box, tallest) {
  const { height, width, data } = own;
  const touches = [false, false, false, false];
  for (let j = 0; j < width; j++) {
    touches[0] ||= data[j] !== 0;
    touches[1] ||= data[(height - 1) * width + j] !== 0;
  }
  for (let i = 0; i < height; i++) {
    touches[2] ||= data[i * width] !== 0;
    touches[3] ||= data[i * width + width - 1] !== 0;
  }
  if (touches.every(Boolean)) {
    throw new Error("No single digit on a plain background: it touches all four edges.");
  }
  if (Math.max(tallest, boxWidth(box)) < Math.max(height, width) / 16) {
    throw new Error("Only a dot so far.");
  }
  // Digits that touch leave much of their box empty; a stroke does not.
  const filled = sum(isAbove(own, 0).data);
  const area = boxHeight(box) * boxWidth(box);
  if (boxWidth(box) > WIDEST * boxHeight(box) && filled < 0.7 * area) {
    throw new Error("This is too wide for one digit.");
  }
}

function boundingBox(own) {
  return findBoxes(isAbove(own, 0), 1)[0];
}

// A digit in the middle of a grid of height x width, by its centre of mass.
function frameInk(ink, box, height, width) {
  const digit = makeGrid(boxHeight(box), boxWidth(box));
  for (let i = 0; i < digit.height; i++) {
    for (let j = 0; j < digit.width; j++) {
      const place = (box.top + i) * ink.width + box.left + j;
      digit.data[i * digit.width + j] = Math.fround(ink.data[place]);
    }
  }
  const scale =
    (DIGIT_BOX * Math.min(height, width)) / Math.max(digit.height, digit.width);
  const [newHeight, newWidth] = [digit.height, digit.width].map((length) =>
    Math.max(1, roundHalfEven(length * scale))
  );
  let small = resize(digit, newHeight, newWidth, { isBox: scale < 1 });
  const most = maximum(small.data) || 1;
  small = mapGrid(small, (value) => (value / most) * 255);
  const total = sum(small.data);
  let centreRow = 0;
  let centreColumn = 0;
  small.data.forEach((value, k) => {
    centreRow += (value * Math.floor(k / newWidth)) / total;
    centreColumn += (value * (k % newWidth)) / total;
  });
  const offset = (side, own, centre) =>
    Math.min(Math.max(roundHalfEven((side - 1) / 2 - centre), 0), side - own);
  const top = offset(height, newHeight, centreRow);
  const left = offset(width, newWidth, centreColumn);
  const framed = makeGrid(height, width);
  for (let i = 0; i < newHeight; i++) {
    for (let j = 0; j < newWidth; j++) {
      const value = roundHalfEven(small.data[i * newWidth + j]);
      framed.data[(top + i) * width + left + j] = value;
    }
  }
  return framed;
}
