// Disturbances of the pixels that a model gets, as in LeCun's demonstrations.

const NO_DISTURBANCE = {
  rotate: 0, // degrees, counter-clockwise
  right: 0, // pixels
  down: 0, // pixels
  scale: 1,
  squeeze: 1, // width over height, at a constant area
  thickness: 0, // pixels
  noise: 0, // standard deviation, of 255
  invert: false,
};

// Return disturbed pixels of 0 to 255, for a model's image shape.
function disturbPixels(pixels, shape, settings) {
  const [channels, height, width] = shape;
  const result = new Float64Array(pixels.length);
  for (let c = 0; c < channels; c++) {
    const start = c * height * width;
    let map = makeGrid(height, width, pixels.subarray(start, start + height * width));
    if (isMoved(settings)) map = moveGrid(map, settings);
    if (settings.thickness) map = thicken(map, settings.thickness);
    result.set(map.data, start);
  }
  if (settings.noise) addNoise(result, settings.noise);
  if (settings.invert) for (let k = 0; k < result.length; k++) result[k] = 255 - result[k];
  return result;
}

const MOVES = ["rotate", "right", "down", "scale", "squeeze"];
const isMoved = (settings) => MOVES.some((name) => settings[name] !== NO_DISTURBANCE[name]);

// Rotate, scale, squeeze and shift around the centre, with bilinear interpolation.
function moveGrid(grid, { rotate, right, down, scale, squeeze }) {
  const { height, width, data } = grid;
  const angle = (rotate * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [scaleX, scaleY] = [scale * Math.sqrt(squeeze), scale / Math.sqrt(squeeze)];
  const background = data[0];
  const at = (i, j) =>
    i < 0 || i >= height || j < 0 || j >= width ? background : data[i * width + j];
  const moved = makeGrid(height, width);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const y = i - down - (height - 1) / 2;
      const x = j - right - (width - 1) / 2;
      const fromX = (cos * x - sin * y) / scaleX + (width - 1) / 2;
      const fromY = (sin * x + cos * y) / scaleY + (height - 1) / 2;
      const [left, top] = [Math.floor(fromX), Math.floor(fromY)];
      const [u, v] = [fromX - left, fromY - top];
      moved.data[i * width + j] =
        (1 - v) * ((1 - u) * at(top, left) + u * at(top, left + 1)) +
        v * ((1 - u) * at(top + 1, left) + u * at(top + 1, left + 1));
    }
  }
  return moved;
}

// Thicken (or with a negative amount, thin) bright strokes by so many pixels.
function thicken(grid, amount) {
  const choose = amount > 0 ? Math.max : Math.min;
  let current = grid;
  for (let left = Math.abs(amount); left > 0; left -= 1) {
    const { height, width, data } = current;
    const weight = Math.min(left, 1);
    const next = makeGrid(height, width);
    for (let i = 0, k = 0; i < height; i++) {
      for (let j = 0; j < width; j++, k++) {
        const most = choose(
          data[k],
          data[Math.max(i - 1, 0) * width + j],
          data[Math.min(i + 1, height - 1) * width + j],
          data[i * width + Math.max(j - 1, 0)],
          data[i * width + Math.min(j + 1, width - 1)]
        );
        next.data[k] = (1 - weight) * data[k] + weight * most;
      }
    }
    current = next;
  }
  return current;
}

// Normal noise, the same for every drawing, so that moving a slider does not flicker.
function addNoise(pixels, deviation) {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  for (let k = 0; k < pixels.length; k++) {
    const normal = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    pixels[k] = clamp(pixels[k] + deviation * normal, 0, 255);
  }
}
