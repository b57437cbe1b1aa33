/** The page of the test stand: draws what /events tells, and posts what its buttons ask for. Text goes in as text only. */

const byId = (id) => document.getElementById(id);

/** An element with attributes and children; what is undefined is left out. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const act = (action, given = {}) =>
  fetch("actions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ action, ...given }),
  });

const troubles = {
  "media-empty": "Paper out",
  "media-jam": "Jam",
  "cover-open": "Cover open",
  "marker-supply-empty": "Ink out",
  "output-area-full": "Tray full",
  "engine-fault": "Head fault",
};

/** Sliders of the line: powers of ten from 10^least on, or plain values. */
const faults = [
  { name: "bitErrorRate", label: "Bit errors", least: -7, most: -2, isPower: true },
  { name: "dropRate", label: "Lost pieces", least: 0, most: 0.1 },
  { name: "duplicateRate", label: "Doubled", least: 0, most: 0.1 },
  { name: "reorderRate", label: "Reordered", least: 0, most: 0.1 },
  { name: "delayMs", label: "Delay", least: 0, most: 200, unit: " ms" },
];

let view;
/** What each sheet looks like so far: its figure, and the rows that are drawn of each side. */
const drawn = new Map();

for (const [trouble, label] of Object.entries(troubles)) {
  const toggle = () => act(view.troubles.includes(trouble) ? "remedy" : "fail", { trouble });
  byId("troubles").append(make("button", { "data-trouble": trouble, onclick: toggle }, label));
}
for (const button of document.querySelectorAll("button[data-action]")) {
  button.addEventListener("click", () => act(button.dataset.action, { ms: Number(button.dataset.ms) }));
}
byId("cancel").addEventListener("click", () => act("cancel"));
byId("power").addEventListener("click", () => act(view.isOn ? "power-off" : "power-on"));
byId("cycle").addEventListener("click", async () => {
  await act("power-off");
  setTimeout(() => act("power-on"), 1000);
});

const valueOf = ({ isPower, least }, slider) => {
  const value = Number(slider.value);
  return isPower ? (value <= least ? 0 : 10 ** value) : value;
};
const positionOf = ({ isPower, least }, value) => (isPower ? (value > 0 ? Math.log10(value) : least) : value);

for (const fault of faults) {
  const { name, label, least, most } = fault;
  const change = ({ target }) => act("line", { [name]: valueOf(fault, target) });
  const step = (most - least) / 100;
  const slider = make("input", {
    type: "range",
    min: least,
    max: most,
    step,
    "aria-label": label,
    onchange: change,
  });
  byId("faults").append(
    make("label", { class: "fault", "data-fault": name }, make("span", {}, label), slider, make("output")),
  );
}

function showInks() {
  const box = byId("inks");
  if (box.childElementCount === 0) {
    for (const { ink } of view.inks) {
      const change = ({ target }) => act("ink", { ink, percent: Number(target.value) });
      const slider = make("input", { type: "range", min: 0, max: 100, "aria-label": ink, onchange: change });
      box.append(
        make("label", { class: "ink", "data-ink": ink }, make("span", {}, ink), slider, make("output")),
      );
    }
  }
  for (const { ink, percent } of view.inks) {
    const label = box.querySelector(`[data-ink="${ink}"]`);
    const slider = label.querySelector("input");
    if (!slider.matches(":active")) slider.value = percent ?? 100;
    slider.disabled = percent === undefined;
    label.querySelector("output").textContent = percent === undefined ? "∞" : `${percent} %`;
  }
}

const kB = (bytes) => `${(bytes / 1000).toLocaleString("en", { maximumFractionDigits: 0 })} kB`;

function showRows(id, rows) {
  byId(id).replaceChildren(
    ...rows.map(([label, value]) =>
      make("p", { class: "row" }, make("span", {}, label), make("output", {}, String(value))),
    ),
  );
}

let before = { bytes: 0, at: 0, rate: 0 };
function rateOf(bytes) {
  const now = performance.now();
  if (now - before.at > 1000) before = { bytes, at: now, rate: (bytes - before.bytes) / (now - before.at) };
  return before.rate;
}

function showLink() {
  const { link, line } = view;
  byId("buffer").value = link ? link.bufferedBytes / link.capacityBytes : 0;
  byId("buffered").textContent = link ? `${kB(link.bufferedBytes)} of ${kB(link.capacityBytes)}` : "–";
  showRows("link", [
    ["Host", link?.hostIsThere ? `there, version ${link.version}` : "silent"],
    ["Job", view.jobKey ? `${link?.jobName || view.jobKey}, ${view.sheetsStacked} stacked` : "none"],
    [
      "Frames, damaged",
      link ? `${link.frames.toLocaleString("en")}, ${link.damagedFrames.toLocaleString("en")}` : "–",
    ],
    ["Refusal", view.refusal],
    ["Starved in mid-page", link?.starved ?? "–"],
    ["Fed, stacked, wasted", `${view.counts.fed}, ${view.counts.stacked}, ${view.counts.wasted}`],
  ]);
  const sum = (name) => line.forth[name] + line.back[name];
  showRows("line", [
    ["To the engine", `${kB(line.forth.bytes)}, ${rateOf(line.forth.bytes).toFixed(0)} kB/s`],
    ["Bits flipped", sum("flippedBits").toLocaleString("en")],
    ["Pieces lost, doubled", `${sum("dropped") + sum("cut")}, ${sum("duplicated")}`],
  ]);
  for (const fault of faults) {
    const label = document.querySelector(`[data-fault="${fault.name}"]`);
    const value = line.faults[fault.name] ?? 0;
    const slider = label.querySelector("input");
    if (!slider.matches(":active")) slider.value = positionOf(fault, value);
    const words = fault.isPower
      ? value.toExponential(0)
      : `${+(fault.unit ? value : value * 100).toFixed(1)}${fault.unit ?? " %"}`;
    label.querySelector("output").textContent = value === 0 ? "none" : words;
  }
}

/** Draws the rows that have come since the last time. */
async function drawSide(sheet, side, state) {
  const rows = Math.floor(side.rowsPrinted / side.previewFactor);
  const whole = side.rowsPrinted >= side.heightPx;
  const until = whole ? Math.ceil(side.heightPx / side.previewFactor) : rows;
  if (state.busy || until <= state.rows) return;
  state.busy = true;
  const image = new Image();
  image.src = `sheets/${sheet.id}/${side.side}/preview.png?from=${state.rows}&rows=${until - state.rows}`;
  try {
    await image.decode();
    state.canvas.getContext("2d").drawImage(image, 0, state.rows);
    state.rows = until;
  } catch {
    // Thrown out meanwhile, or no longer kept.
  }
  state.busy = false;
}

function figureOf(sheet) {
  const known = drawn.get(sheet.id);
  // A number that was thrown out is another sheet's the next time.
  if (known && known.name === `${sheet.jobName} ${sheet.sheetNumber}` && !known.lost) return known;
  known?.figure.remove();
  const caption = make("figcaption", {}, make("b"), make("span"));
  const state = {
    figure: make("figure", {}, caption),
    sides: new Map(),
    name: `${sheet.jobName} ${sheet.sheetNumber}`,
    lost: false,
  };
  drawn.set(sheet.id, state);
  byId("sheets").prepend(state.figure);
  return state;
}

function showSheets() {
  for (const sheet of view.sheets) {
    const state = figureOf(sheet);
    const caption = state.figure.querySelector("figcaption");
    for (const side of sheet.sides) {
      if (!state.sides.has(side.side)) {
        const canvas = make("canvas", {
          width: Math.ceil(side.widthPx / side.previewFactor),
          height: Math.ceil(side.heightPx / side.previewFactor),
          onclick: (event) => openLoupe(sheet, side, event),
        });
        caption.before(canvas);
        state.sides.set(side.side, { canvas, rows: 0, busy: false });
      }
      drawSide(sheet, side, state.sides.get(side.side));
    }
    const side = sheet.sides.at(-1);
    caption.children[0].textContent = sheet.jobName || "a job without a name";
    caption.children[1].textContent = sheet.stacked
      ? `sheet ${sheet.sheetNumber}`
      : `sheet ${sheet.sheetNumber}, ${Math.round((100 * side.rowsPrinted) / side.heightPx)} %`;
    state.figure.classList.toggle("in-path", !sheet.stacked);
  }
  const there = new Set(view.sheets.map(({ id }) => id));
  for (const [id, state] of drawn) {
    if (there.has(id)) continue;
    const isOld = view.sheets.some((sheet) => sheet.id > id);
    if (isOld) {
      state.figure.remove();
      drawn.delete(id);
    } else if (!state.lost) {
      state.lost = true;
      state.figure.classList.add("lost");
      state.figure.classList.remove("in-path");
      state.figure.querySelector("span").textContent = "thrown out";
    }
  }
}

// ---- the loupe: every dot ----

const loupe = { zoom: 6, x: 0, y: 0, sheet: undefined, side: undefined };

async function drawDots() {
  const { sheet, side, zoom } = loupe;
  const canvas = byId("dots");
  const width = Math.ceil(canvas.width / zoom);
  const height = Math.ceil(canvas.height / zoom);
  loupe.x = Math.max(0, Math.min(Math.round(loupe.x), side.widthPx - width));
  loupe.y = Math.max(0, Math.min(Math.round(loupe.y), side.heightPx - height));
  const { x, y } = loupe;
  byId("loupe-title").textContent = `${side.side}, dots from ${x}, ${y}; ${zoom} pixels a dot`;
  const image = new Image();
  image.src = `sheets/${sheet.id}/${side.side}/dots.png?x=${x}&y=${y}&width=${width}&height=${height}`;
  try {
    await image.decode();
  } catch {
    byId("loupe-title").textContent = "This sheet is not kept any more.";
    return;
  }
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, image.width * zoom, image.height * zoom);
}

function openLoupe(sheet, side, { offsetX, offsetY, target }) {
  const canvas = byId("dots");
  Object.assign(loupe, { sheet, side });
  loupe.x = (offsetX / target.clientWidth) * side.widthPx - canvas.width / loupe.zoom / 2;
  loupe.y = (offsetY / target.clientHeight) * side.heightPx - canvas.height / loupe.zoom / 2;
  byId("loupe").showModal();
  drawDots();
}

function moveBy(x, y) {
  loupe.x += x;
  loupe.y += y;
  drawDots();
}

/** About the middle. */
function zoomTo(zoom) {
  const { width, height } = byId("dots");
  const change = (1 / loupe.zoom - 1 / zoom) / 2;
  loupe.zoom = zoom;
  moveBy(width * change, height * change);
}

byId("close").addEventListener("click", () => byId("loupe").close());
byId("larger").addEventListener("click", () => zoomTo(Math.min(24, loupe.zoom + (loupe.zoom < 4 ? 1 : 2))));
byId("smaller").addEventListener("click", () => zoomTo(Math.max(1, loupe.zoom - (loupe.zoom <= 4 ? 1 : 2))));
byId("dots").addEventListener("pointermove", ({ buttons, movementX, movementY }) => {
  if (buttons) moveBy(-movementX / loupe.zoom, -movementY / loupe.zoom);
});
byId("dots").addEventListener("keydown", (event) => {
  const step = 200 / loupe.zoom;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  moveBy(...move);
});

/** Without the stand there is nothing to press: what can be is left as it was, to be read. */
function setThere(isThere) {
  for (const controls of document.querySelectorAll("header, aside")) controls.inert = !isThere;
}

const events = new EventSource("events");
events.addEventListener("message", ({ data }) => {
  setThere(true);
  view = JSON.parse(data);
  document.title = `${view.makeAndModel || "Engine"}: ${view.state}`;
  if (view.makeAndModel) byId("engine").textContent = view.makeAndModel;
  byId("state").textContent = view.state;
  byId("state").className = `pill ${view.state}`;
  byId("message").textContent = view.message;
  byId("power").textContent = view.isOn ? "Switch off" : "Switch on";
  for (const button of byId("troubles").children) {
    button.setAttribute("aria-pressed", view.troubles.includes(button.dataset.trouble));
  }
  byId("paper").textContent = view.paperLeft === undefined ? "never runs out" : `${view.paperLeft} sheets`;
  showInks();
  showLink();
  showSheets();
});
// The browser tries again by itself.
events.addEventListener("error", () => {
  setThere(false);
  byId("state").textContent = "gone";
  byId("state").className = "pill";
  byId("message").textContent = "The stand does not answer.";
});
