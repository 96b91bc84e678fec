// SPDX-License-Identifier: Apache-2.0
// The page of a view: takes the updates of the run, draws them, and sends what a person asks for.
"use strict";

const TOKEN = document.body.dataset.token;
const KEPT_S = 5;  // of the charts
const FRAME_MS = 1000 / 60;
const REST = [9, 100];  // after a drawing, times as long as it took: least and most
const RESTS_LONGER = 2, RESTS_SHORTER = 0.98;  // with each update that reports missed deadlines, or none
const COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"];
const $ = (id) => document.getElementById(id);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const about = (name) => name.replaceAll("_", " ");
const page = { ticks: [], spikes: {}, potentials: [], last: null, description: null, scene: null, charts: [], updates: 0, rest: REST[0], missed: 0 };
window.page = page;  // for people who look into it, and for tests

async function order(what) {
  const answer = await fetch(`/order?token=${TOKEN}`, { method: "POST", body: JSON.stringify(what) });
  $("refused").textContent = answer.ok ? "" : await answer.text();
}

// A chart with a heading: draw(context, width, height, x of a time) fills it.
function chart(title, height, draw) {
  const heading = document.createElement("h2"), canvas = document.createElement("canvas");
  heading.textContent = title; canvas.height = height;
  canvas.setAttribute("aria-label", title);
  $("right").append(heading, canvas);
  page.charts.push({ heading, canvas, draw });
}

function lines(c, width, height, at, series, least, most) {
  // series: [values of a tick, colour, thickness]
  let low = Infinity, high = -Infinity;
  for (const [value] of series) for (const tick of page.ticks) {
    const v = value(tick);
    if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  }
  if (low > high) return;
  const room = Math.max((high - low) * 0.1, 1e-3 * Math.max(1, Math.abs(high)));
  low -= room; high += room;
  const y = (v) => height - (v - low) / (high - low) * height;
  c.strokeStyle = style("--line"); c.lineWidth = 1;
  for (const v of [0, least, most]) if (v !== undefined && v > low && v < high) {
    c.beginPath(); c.moveTo(0, y(v)); c.lineTo(width, y(v)); c.stroke();
  }
  for (const [value, colour, thick] of series) {
    c.strokeStyle = colour; c.lineWidth = thick; c.beginPath();
    let open = false;
    for (const tick of page.ticks) {
      const v = value(tick);
      if (!Number.isFinite(v)) { open = false; continue; }
      if (open) c.lineTo(at(tick[0]), y(v)); else c.moveTo(at(tick[0]), y(v));
      open = true;
    }
    c.stroke();
  }
  c.fillStyle = style("--faint"); c.font = "11px system-ui";
  c.fillText(high.toPrecision(3), 2, 10); c.fillText(low.toPrecision(3), 2, height - 3);
}

function raster(name, n) {
  return (c, width, height, at) => {
    c.fillStyle = style("--ink");
    for (const [t, id] of page.spikes[name] || []) c.fillRect(at(t), height - (id + 1) / n * height, 1.5, Math.max(1, height / n));
  };
}

// Potentials of the watched neurons; 1 is the threshold.
function potentials(c, width, height, at) {
  const values = page.potentials.flatMap(([, , pairs]) => pairs.map((p) => p[1]));
  const [low, high] = page.range = [Math.min(-0.5, ...values), Math.max(1.1, ...values)];
  const y = (v) => height - (v - low) / (high - low) * height;
  c.strokeStyle = style("--line"); c.lineWidth = 1;
  for (const v of [0, 1]) { c.beginPath(); c.moveTo(0, y(v)); c.lineTo(width, y(v)); c.stroke(); }
  page.potentials.forEach(([, , pairs], k) => {
    c.strokeStyle = COLOURS[k]; c.lineWidth = 1.1; c.beginPath();
    pairs.forEach(([t, v], i) => { if (i) c.lineTo(at(t), y(v)); else c.moveTo(at(t), y(v)); });
    c.stroke();
  });
  c.fillStyle = style("--faint"); c.font = "11px system-ui"; c.fillText("threshold", 2, Math.max(11, y(1) - 2));
  c.fillText(low.toPrecision(3), 2, height - 3);
}

// Marks the ticks at which the gate let a command through changed, or not at all.
function marks(c, height, at) {
  c.fillStyle = "#c62828";
  for (const t of page.ticks) if (t[5] && t[5] !== "accepted" && t[5] !== "held") c.fillRect(at(t[0]) - 1, height - 6, 2, 6);
}

// Of a rate a second and neuron: 0 at none, 1 from 100 Hz on.
const level = (hz) => Math.min(1, Math.log10(1 + hz) / 2);
const heat = (x) => [[60, 255], [70, 140], [90, 40]].map(([cold, hot]) => Math.round(cold + (hot - cold) * x));

// Layers from left to right, and what connects them: forward above the middle, backward and within a layer below.
function drawWiring(work) {
  const { sizes, connections } = page.description.wiring, canvas = $("wiring"), names = Object.keys(sizes);
  if (canvas.width !== canvas.clientWidth) canvas.width = canvas.clientWidth;
  const c = canvas.getContext("2d"), y = 60, x = (name) => (names.indexOf(name) + 0.5) / names.length * canvas.width;
  const hz = (name) => (work.rates ? work.rates[name] : 0) / sizes[name];
  c.clearRect(0, 0, canvas.width, canvas.height);
  c.font = "11px system-ui"; c.textAlign = "center";
  for (const { source, target, weights } of connections) {
    const from = x(source), to = x(target), middle = (from + to) / 2, backward = to <= from;
    c.strokeStyle = style("--faint"); c.lineWidth = 1 + 6 * level(hz(source)); c.beginPath();
    if (source === target) c.arc(from, y + 18, 16, -0.5, Math.PI + 0.5);
    else { c.moveTo(from, y); c.quadraticCurveTo(middle, backward ? y + 70 : y - 40, to, y); }
    c.stroke();
    c.fillStyle = style("--faint");
    c.fillText(`${weights} weights`, source === target ? from + 60 : middle, source === target ? y + 40 : backward ? y + 50 : y - 30);
  }
  page.places = {};
  for (const name of names) {
    c.fillStyle = `rgb(${heat(level(hz(name)))})`; c.beginPath(); c.arc(x(name), y, 14, 0, 2 * Math.PI); c.fill();
    c.fillStyle = style("--ink");
    c.fillText(`${name}: ${sizes[name]}`, x(name), y + 62); c.fillText(`${hz(name).toFixed(1)} Hz`, x(name), y + 76);
    page.places[name] = [x(name), y];
  }
}

function showWatched() {
  const named = page.potentials.map(([layer, neuron]) => `${layer} ${neuron}`).join();
  if (page.named === named) return;
  page.named = named;
  $("watched").replaceChildren(...page.potentials.map(([layer, neuron], k) => {
    const button = Object.assign(document.createElement("button"), { textContent: `${about(layer)} ${neuron} \u00d7` });
    button.style.color = COLOURS[k];
    button.title = "show it no longer";
    button.addEventListener("click", () => order({ do: "unwatch", name: layer, value: neuron }));
    return button;
  }));
}

function build(d) {
  page.description = d;
  $("robot").textContent = d.robot; $("what").textContent = d.description; document.title = `liquid-spike: ${d.robot}`;
  const nSeen = d.readings.length;
  const shown = d.estimates.length ? d.estimates : d.readings.slice(0, 4);
  shown.forEach((q, k) => {
    const degrees = q.unit === "rad" ? 180 / Math.PI : 1, unit = q.unit === "rad" ? "deg" : q.unit;
    const place = d.estimates.length ? nSeen + k : k;
    const series = [[(t) => (t[1][place] ?? NaN) * degrees, style("--true"), 1.6]];
    if (d.estimates.length) series.push([(t) => (t[2][k] ?? NaN) * degrees, COLOURS[1], 1.1]);
    chart(`${about(q.name)} [${unit}]${d.estimates.length ? ": true, and estimated (orange)" : ""}`, 80,
      (c, w, h, at) => lines(c, w, h, at, series));
  });
  if (d.commands.length === 1) {
    const one = d.commands[0];
    chart(`${about(one.name)} [${one.unit}]: behind the gate, and before it (pale); red: changed or refused by the gate`, 80, (c, w, h, at) => {
      lines(c, w, h, at, [[(t) => t[4][0], "#9ec5e8", 1.6], [(t) => t[3][0], COLOURS[0], 1.1]], one.least, one.most);
      marks(c, h, at);
    });
  } else {
    chart(`commands behind the gate [of the limit]: ${d.commands.map((x) => about(x.name)).join(", ")}; red: changed or refused by it`, 100, (c, w, h, at) => {
      lines(c, w, h, at, d.commands.map((x, k) =>
        [(t) => t[3][k] / Math.max(Math.abs(x.least), Math.abs(x.most)), COLOURS[k % COLOURS.length], 1.1]), -1, 1);
      marks(c, h, at);
    });
  }
  $("inside").hidden = !d.wiring;
  if (d.wiring) {
    chart("membrane potentials, in thresholds", 90, potentials);
    for (const name of Object.keys(d.layers)) $("layer").add(new Option(name));
    $("watch").addEventListener("click", () => order({ do: "watch", name: $("layer").value, value: Number($("neuron").value) }));
  }
  for (const [name, n] of Object.entries(d.layers)) {
    chart(`spikes of ${name}, ${n} neurons${d.playback && name in d.playback.layers ? ", as recorded" : ""}`, 90, raster(name, n));
    const canvas = page.charts.at(-1).canvas;
    if (d.wiring) canvas.addEventListener("click", (at) => order({ do: "watch", name,
      value: Math.max(0, Math.min(n - 1, Math.floor((1 - at.offsetY / canvas.clientHeight) * n))) }));
  }
  $("seen").hidden = !d.camera.width;
  if (d.camera.width) {
    const events = $("events"), factor = Math.max(1, Math.floor(256 / d.camera.height));
    events.width = d.camera.width; events.height = d.camera.height;
    events.style.width = `${d.camera.width * factor}px`; events.style.height = `${d.camera.height * factor}px`;
  }
  $("scene").hidden = $("pushing").hidden = $("pause").hidden = $("step").hidden = !d.simulated;
  if (d.playback) buildPlayback(d.playback);
  for (const name of d.bodies) $("body").add(new Option(name));
  if (!d.bodies.length || d.playback) $("pushing").hidden = true;
  for (const s of d.playback ? [] : d.setpoints) {
    const label = document.createElement("label"), input = document.createElement("input");
    input.type = "number"; input.step = "any"; input.value = s.default; input.name = s.name;
    input.addEventListener("change", () => order({ do: "setpoint", name: s.name, value: Number(input.value) }));
    label.append(`${about(s.name)} [${s.unit}] `, input); $("setpoints").append(label);
  }
  if (d.simulated) page.scene = new Scene($("scene"), d.solids);
}

// Of a recording: a bar over its time, speeds, and what it lacks; there is nothing to stop or to push.
function buildPlayback({ name, start_ns, end_ns, notes }) {
  $("what").textContent = `${name}: ${$("what").textContent}`;
  $("playback").hidden = $("pause").hidden = $("step").hidden = false;
  $("stop").hidden = true;
  $("notes").hidden = !notes.length; $("notes").textContent = notes.join("\n");
  $("seek").max = (end_ns - start_ns) * 1e-9;
  for (const speed of [0.1, 0.25, 0.5, 1, 2, 5]) $("speed").add(new Option(`${speed} \u00d7`, speed, speed === 1, speed === 1));
  $("speed").addEventListener("change", () => order({ do: "speed", value: Number($("speed").value) }));
  // one order at a time: while the bar is dragged, what came in between is passed over
  let asked = null, under = false;
  const seek = async () => {
    if (under || asked === null) return;
    under = true;
    const value = asked;
    asked = null;
    await order({ do: "seek", value });
    under = false;
    seek();
  };
  $("seek").addEventListener("input", () => { asked = Number($("seek").value); showPlace(asked); seek(); });
  $("seek").addEventListener("pointerdown", () => { page.dragging = true; });
  for (const end of ["pointerup", "pointercancel"]) $("seek").addEventListener(end, () => { page.dragging = false; });
}

function showPlace(s) {
  const { start_ns, end_ns } = page.description.playback;
  $("place").textContent = `${s.toFixed(2)} of ${((end_ns - start_ns) * 1e-9).toFixed(2)} s`;
}

function drawEvents(update) {
  const d = page.description.camera, signs = numbers(update.events, Int8Array);
  const context = $("events").getContext("2d"), image = context.createImageData(d.width, d.height);
  const colours = { "-1": [255, 120, 80], 0: [24, 28, 36], 1: [96, 176, 255] };
  for (let i = 0; i < signs.length; i++) image.data.set([...colours[signs[i]], 255], 4 * i);
  context.putImageData(image, 0, 0);
}

function table(update) {
  const rows = [["gate", update.verdict ? `${about(update.verdict)} (${Object.entries(update.verdicts).map(([n, k]) => `${about(n)} ${k}`).join(", ")})` : ""]];
  if (update.latency_us.length) {
    const [p50, p99] = update.latency_us;
    rows.push(["sensing to command", `${(p50 / 1e3).toFixed(2)} ms p50, ${(p99 / 1e3).toFixed(2)} ms p99`]);
  }
  if (update.work && update.work.power) {
    const { model, dynamic_w, static_w } = update.work.power;
    rows.push(["synaptic operations", `${(update.work.synaptic_operations / 1e3).toFixed(0)} thousand a second`]);
    rows.push(["power of the network", `${(dynamic_w * 1e6).toFixed(0)} uW + static ${(static_w * 1e3).toFixed(0)} mW (estimate by ${model})`]);
  }
  for (const [name, text] of Object.entries(update.facts.numbers)) rows.push([name, text]);
  if (page.rest > 2 * REST[0]) rows.push(["this page", "drawn less often, for the loop misses deadlines"]);
  if (update.lost) rows.push(["lost by this page", `${update.lost} ticks`]);
  $("numbers").replaceChildren(...rows.filter((r) => r[1]).map((row) => {
    const tr = document.createElement("tr");
    for (const text of row) tr.append(Object.assign(document.createElement("td"), { textContent: text }));
    return tr;
  }));
}

function take(update) {
  const now = update.stamp_ns * 1e-9;
  if (page.ticks.length && update.ticks.length && update.ticks[0][0] < page.ticks.at(-1)[0]) {
    page.ticks = []; page.spikes = {}; page.potentials = [];
  }
  page.ticks.push(...update.ticks);
  page.ticks = page.ticks.filter((t) => t[0] > now - KEPT_S);
  for (const [name, pairs] of Object.entries(update.spikes || {})) {
    page.spikes[name] = (page.spikes[name] || []).concat(pairs).filter((p) => p[0] > now - KEPT_S);
  }
  if (update.potentials) {
    const before = new Map(page.potentials.map(([layer, neuron, pairs]) => [`${layer} ${neuron}`, pairs]));
    page.potentials = update.potentials.map(([layer, neuron, pairs]) =>
      [layer, neuron, (before.get(`${layer} ${neuron}`) || []).concat(pairs).filter((p) => p[0] > now - KEPT_S)]);
  }
  if (update.events !== undefined && update.ticks.length) page.seen = update;  // the next update may come before it is drawn
  // a loop that misses deadlines needs what the drawing takes
  const missed = Number(update.facts.numbers["deadline misses"] || 0);
  page.rest = Math.min(Math.max(page.rest * (missed > page.missed ? RESTS_LONGER : RESTS_SHORTER), REST[0]), REST[1]);
  page.missed = missed;
  page.last = update; page.updates += 1;
}

function draw() {
  const update = page.last;
  if (!update || update.stamp_ns < 0) return;
  const now = update.stamp_ns * 1e-9;
  $("time").textContent = `${now.toFixed(2)} s`;
  const f = update.facts;
  if (page.description.playback) {
    const place = now - page.description.playback.start_ns * 1e-9;
    if (!page.dragging) { $("seek").value = place; showPlace(place); }
    if (document.activeElement !== $("speed")) $("speed").value = f.speed;
  }
  $("state").textContent = f.outcome || (f.stopped ? "e-stop pressed" : f.paused ? "paused" : page.description.playback ? "playing" : "running");
  $("pause").textContent = !f.paused ? "pause" : page.description.playback ? "play" : "go"; $("step").disabled = !f.paused;
  $("stop").textContent = f.stopped ? "release" : "E-STOP"; $("stop").classList.toggle("pressed", f.stopped);
  if (update.places && page.scene) page.scene.show(numbers(update.places));
  if (page.seen) {
    const { ticks, n_events } = page.seen, first = ticks[0][0], last = ticks.at(-1)[0];
    drawEvents(page.seen);
    // the events came since the tick before, but of a recording where another time was looked up
    const s = last - (first > page.before && first < page.before + 1 ? page.before : first);
    if (s > 0) $("rate").textContent = `${(n_events / s / 1e3).toFixed(1)} kev/s`;
    page.before = last; page.seen = null;
  }
  drawCharts(now);
  if (page.description.wiring) { drawWiring(update.work); showWatched(); }
  table(update);
}

function drawCharts(now) {
  for (const { canvas, draw } of page.charts) {
    if (canvas.width !== canvas.clientWidth) canvas.width = canvas.clientWidth;
    const c = canvas.getContext("2d");
    c.clearRect(0, 0, canvas.width, canvas.height);
    draw(c, canvas.width, canvas.height, (t) => (t - now + KEPT_S) / KEPT_S * canvas.width);
  }
}

// The run begins when the page asks for updates. A browser's first drawings take much longer than the others, so they come
// before that; a tab in the background never draws, and is waited for no longer than a second.
async function drawFirst() {
  for (let k = 0; k < 3; k++) {
    if (page.scene && page.description.places) page.scene.show(numbers(page.description.places));
    drawCharts(0);
    if (page.description.wiring) drawWiring({});
    if (page.scene) page.scene.finish();
    await Promise.race([new Promise(requestAnimationFrame), new Promise((go) => setTimeout(go, 1000))]);
  }
}

async function begin() {
  build(await (await fetch(`/description?token=${TOKEN}`)).json());
  $("pause").addEventListener("click", () => order({ do: page.last.facts.paused ? "go" : "pause" }));
  $("step").addEventListener("click", () => order({ do: "step" }));
  $("stop").addEventListener("click", () => order({ do: page.last.facts.stopped ? "release" : "stop" }));
  for (const button of document.querySelectorAll("[data-push]")) {
    button.addEventListener("click", () => order({ do: "push", body: $("body").value,
      impulse: button.dataset.push.split(",").map((part) => Number(part) * Number($("impulse").value)) }));
  }
  if (!page.description.playback) await drawFirst();
  const source = new EventSource(`/updates?token=${TOKEN}`);
  // One drawing for all that came since the last, so that a slow machine does not fall behind; and a rest after it:
  // without a GPU the browser draws on the cores that the robot's loop needs
  let waiting = false, rested = 0;
  const drawTimed = () => {
    const begun = performance.now();
    draw();
    if (page.scene) page.scene.finish();
    const drawn = performance.now();
    // the browser puts the page together after that; where it is slow, the frames that follow come late
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const ended = performance.now();
      waiting = false;
      rested = ended + page.rest * (drawn - begun + Math.max(0, ended - drawn - 2 * FRAME_MS));
    }));
  };
  source.onmessage = (event) => {
    take(JSON.parse(event.data));
    if (waiting) return;
    waiting = true;
    setTimeout(() => requestAnimationFrame(drawTimed), Math.max(0, rested - performance.now()));
  };
  source.onerror = () => { $("state").textContent = page.last && page.last.facts.outcome ? page.last.facts.outcome : "the run has ended"; };
}

begin();
