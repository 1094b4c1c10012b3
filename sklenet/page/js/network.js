// The forward pass of LeNet-5, in plain loops over the arrays of the model's description.
//
// A layer's values are {channels, height, width, data}: maps one after the other, each row
// by row. Fully connected layers have one map of 1 x units.

const ACTIVATIONS = {
  relu: (x) => Math.max(x, 0),
  leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  selu: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
  tanh: Math.tanh,
  hardtanh: (x) => clamp(x, -1, 1),
  scaled_tanh: (x) => 1.7159 * Math.tanh((2 / 3) * x),
  sigmoid,
  silu: (x) => x * sigmoid(x),
  softplus,
  mish: (x) => x * Math.tanh(softplus(x)),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
};

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

// The error function by its series without cancellation (DLMF 7.6.2).
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

// Weights are little-endian float32 numbers in base64.
function decodeWeights(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, k) => view.getFloat32(4 * k, true));
}

class Network {
  // `description` is what sklenet/page/describe.py makes of a fitted estimator.
  constructor(description) {
    Object.assign(this, description);
    this.layers = description.layers.map((layer) => ({
      ...layer,
      weight: layer.weight && decodeWeights(layer.weight),
      bias: layer.bias && decodeWeights(layer.bias),
      apply: layer.activation ? ACTIVATIONS[layer.activation] : (x) => x,
    }));
  }

  // Put pixels (channel by channel) on the canvas, as sklenet/images/canvas.py does.
  putOnCanvas(pixels) {
    const { low, high, limits, background, factor, scaled } = this.canvas;
    const [channels, height, width] = this.image_shape;
    const [, canvasHeight, canvasWidth] = this.canvas.shape;
    const data = new Float64Array(channels * canvasHeight * canvasWidth).fill(background);
    const scale = (limits[1] - limits[0]) / (high - low || 1);
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < height * factor; i++) {
        for (let j = 0; j < width * factor; j++) {
          const from = (c * height + Math.floor(i / factor)) * width + Math.floor(j / factor);
          if (from >= pixels.length) continue; // a row shorter than its square
          const row = c * canvasHeight + this.canvas.top + i;
          const value = pixels[from];
          data[row * canvasWidth + this.canvas.left + j] = scaled
            ? (value - low) * scale + background
            : value;
        }
      }
    }
    return { channels, height: canvasHeight, width: canvasWidth, data };
  }

  // Values of every layer by name, from the input to the output.
  run(pixels) {
    return this.runOn(this.putOnCanvas(pixels));
  }

  runOn(input) {
    const values = { input };
    let current = input;
    for (const layer of this.layers) {
      current = COMPUTE[layer.kind](layer, current);
      values[layer.name] = current;
    }
    return values;
  }

  probabilities(values) {
    const outputs = Array.from(values.output.data);
    const logs = this.loss === "bce" ? outputs.map((x) => -softplus(-x)) : outputs;
    const most = maximum(logs);
    const weights = logs.map((value) => Math.exp(value - most));
    const total = sum(weights);
    return weights.map((weight) => weight / total);
  }

  // The mean over the views of the image, of which `values` are those of the image itself.
  averageProbabilities(values) {
    const all = [values, ...this.views.map((view) => this.runOn(makeView(values.input, view, this.canvas.background)))];
    const probabilities = all.map((one) => this.probabilities(one));
    return probabilities[0].map((_, k) => sum(probabilities.map((one) => one[k])) / all.length);
  }

  predict(pixels) {
    return this.averageProbabilities(this.run(pixels));
  }
}

// The image on the canvas, mirrored and shifted as sklenet/images/views.py does.
function makeView({ channels, height, width, data }, view, background) {
  const changed = new Float64Array(data.length).fill(background);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < height; i++) {
      const row = i - view.down;
      if (row < 0 || row >= height) continue;
      for (let j = 0; j < width; j++) {
        const column = j - view.right;
        if (column < 0 || column >= width) continue;
        const from = view.is_flipped ? width - 1 - column : column;
        changed[(c * height + i) * width + j] = data[(c * height + row) * width + from];
      }
    }
  }
  return { channels, height, width, data: changed };
}

const COMPUTE = { convolution: convolve, pooling: pool, dense: connect, rbf: measureDistances };

function convolve(layer, input) {
  const { kernel_size: side, weight, bias, connections } = layer;
  const height = input.height - side + 1;
  const width = input.width - side + 1;
  const channels = bias.length;
  const data = new Float64Array(channels * height * width);
  for (let k = 0; k < channels; k++) {
    const map = data.subarray(k * height * width, (k + 1) * height * width).fill(bias[k]);
    for (const m of connections ? connections[k] : range(input.channels)) {
      const kernel = (k * input.channels + m) * side * side;
      for (let a = 0; a < side; a++) {
        for (let b = 0; b < side; b++) {
          const w = weight[kernel + a * side + b];
          for (let i = 0; i < height; i++) {
            const from = (m * input.height + i + a) * input.width + b;
            const to = i * width;
            for (let j = 0; j < width; j++) map[to + j] += w * input.data[from + j];
          }
        }
      }
    }
  }
  return { channels, height, width, data: data.map(layer.apply) };
}

// Squares of 2 x 2 units: their maximum, their mean, or the paper's trainable sum.
function pool(layer, input) {
  const height = Math.floor(input.height / 2);
  const width = Math.floor(input.width / 2);
  const data = new Float64Array(input.channels * height * width);
  const combine = {
    max: (a, b, c, d) => Math.max(a, b, c, d),
    avg: (a, b, c, d) => (a + b + c + d) / 4,
    subsample: (a, b, c, d, k) => (a + b + c + d) * layer.weight[k] + layer.bias[k],
  }[layer.pooling];
  for (let k = 0, to = 0; k < input.channels; k++) {
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++, to++) {
        const from = (k * input.height + 2 * i) * input.width + 2 * j;
        const below = from + input.width;
        const x = input.data;
        const value = combine(x[from], x[from + 1], x[below], x[below + 1], k);
        data[to] = layer.apply(value);
      }
    }
  }
  return { channels: input.channels, height, width, data };
}

function connect(layer, input) {
  const { weight, bias } = layer;
  const n = input.data.length;
  const data = Float64Array.from(bias, (start, k) => {
    let total = start;
    for (let j = 0; j < n; j++) total += weight[k * n + j] * input.data[j];
    return layer.apply(total);
  });
  return { channels: 1, height: 1, width: data.length, data };
}

// Minus the squared distance to each class' code (LeCun et al. 1998, equation 7).
function measureDistances(layer, input) {
  const n = input.data.length;
  const data = Float64Array.from({ length: layer.weight.length / n }, (_, k) => {
    let total = 0;
    for (let j = 0; j < n; j++) total += (input.data[j] - layer.weight[k * n + j]) ** 2;
    return -total;
  });
  return { channels: 1, height: 1, width: data.length, data };
}
