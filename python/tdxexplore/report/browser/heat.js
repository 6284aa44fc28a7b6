// Heat maps: one for each module kind at the chosen CPU count, small ones for every other; and the filters.

const SMALL = 5; // pixels of a cell in a small map
const state = { panel: 0, text: "", policy: "", scenario: "", module: "", severities: new Set() };

/** Severities and verdicts as the legend has them: what a cell counts as. */
function classOf(cell) {
  return cell.worst === null ? (cell.empty ? "none" : cell.verdict) : cell.worst.severity;
}

const searched = new Map(points.map((cell) => {
  const names = cell.findings.flatMap((one) => [one.name, one.text]);
  const words = [data.rows[cell.row][1], data.columns[cell.column][1], data.columns[cell.column][2], data.panels[cell.panel][0], cell.verdict, ...names];
  return [cell, words.join(" ").toLowerCase()];
}));

function fits(cell) {
  const words = state.text.toLowerCase().split(/\s+/).filter((word) => word);
  return (state.policy === "" || data.rows[cell.row][0] === state.policy)
    && (state.scenario === "" || data.columns[cell.column][0] === state.scenario)
    && (state.module === "" || data.panels[cell.panel][0] === state.module)
    && (state.severities.size === 0 || state.severities.has(classOf(cell)))
    && words.every((word) => searched.get(cell).includes(word));
}

/** Rows and columns that have a cell that fits, somewhere: so that all maps have the same ones. */
function axes(fitting) {
  const rows = new Set(fitting.map((cell) => cell.row));
  const columns = new Set(fitting.map((cell) => cell.column));
  return [data.rows.map((_, n) => n).filter((n) => rows.has(n)), data.columns.map((_, n) => n).filter((n) => columns.has(n))];
}

/** The longer of both axes goes down, as a page does. */
function laid(panel, rows, columns) {
  const flipped = columns.length > Math.max(rows.length, 8);
  const down = flipped ? columns : rows;
  const across = flipped ? rows : columns;
  return { flipped, down, across, cell: (d, a) => (flipped ? cellAt(panel, a, d) : cellAt(panel, d, a)) };
}

const head = (flipped, n) => {
  const name = flipped ? data.columns[n][1] : data.rows[n][1];
  return name === "-" ? "" : name;
};

function says(cell) {
  const [module] = data.panels[cell.panel];
  const worst = cell.worst ? `${cell.worst.severity} ${cell.worst.name}` : cell.verdict;
  const more = cell.failing.length ? `; also ${cell.failing.map((one) => one.name).join(", ")}` : "";
  const part = cell.worst && cell.worst.share !== null ? ` in ${fraction(cell.worst.share)} of the interleavings` : "";
  return `${[data.rows[cell.row][1], data.columns[cell.column][1], module].filter((name) => name !== "-").join(", ")}, ${ofPanel(data.panels[cell.panel])}: ${worst}${part}${more}` +
    (cell.verdict === "incomplete" ? "; incomplete" : "") + (cell.empty && cell.reason ? `: ${cell.reason}` : "");
}

function cellButton(cell, dim) {
  if (cell === null) return make("span", { class: "none absent", title: "not asked" }, "");
  const beside = cell.worst && cell.worst.severity > "S3" && cell.failing.length > 0 ? "!" : cell.verdict === "incomplete" ? "?" : "";
  const text = cell.worst ? cell.worst.severity : cell.empty ? "–" : cell.verdict;
  const name = cell.worst ? cell.worst.name : cell.empty ? "" : "";
  return make("button", {
    type: "button", class: `cell ${shade(cell)}${dim ? " dimmed" : ""}`, tabindex: "-1", title: says(cell), "aria-label": says(cell),
    onclick: () => openCell(cell),
  }, make("span", { class: "sev" }, text + beside), make("span", { class: "out" }, name));
}

function heatMap(panel, rows, columns, fitting) {
  const { flipped, down, across, cell } = laid(panel, rows, columns);
  const [module] = data.panels[panel];
  const name = `${ofModule(module)}${ofPanel(data.panels[panel])}`;
  const tall = across.some((n) => head(!flipped, n).length > 9) && across.length > 6;
  const corner = make("td", { class: "corner" });
  const heads = across.map((n) => make("th", { scope: "col", title: flipped ? data.rows[n][2] : data.columns[n][2] },
    make("span", {}, head(!flipped, n))));
  const body = down.map((d) => make("tr", { role: "row" },
    make("th", { scope: "row", role: "rowheader", title: flipped ? data.columns[d][2] : data.rows[d][2] }, head(flipped, d)),
    across.map((a) => {
      const found = cell(d, a);
      return make("td", { role: "gridcell" }, cellButton(found, found !== null && !fitting.has(found)));
    })));
  const grid = make("table", { role: "grid", class: `heat${tall ? " tall" : ""}${across.length > 14 ? " dense" : ""}`, "aria-label": name, onkeydown: walk },
    make("thead", {}, make("tr", { role: "row" }, corner, heads)), make("tbody", {}, body));
  const first = grid.querySelector("button.cell");
  if (first) first.tabIndex = 0;
  return make("figure", { "data-panel": panel }, make("figcaption", {}, name), make("div", { class: "wide" }, grid));
}

/** Arrow keys move among the cells; one cell of a map is in the order of the Tab key. */
function walk(event) {
  const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -999], End: [0, 999] };
  const move = moves[event.key];
  const from = event.target.closest("td");
  if (move === undefined || from === null) return;
  event.preventDefault();
  const body = from.closest("tbody");
  const clamp = (n, most) => Math.min(Math.max(n, 0), most);
  let [d, a] = [[...body.rows].indexOf(from.parentElement), from.cellIndex - 1];
  for (;;) {
    const next = [clamp(d + move[0], body.rows.length - 1), clamp(a + move[1], body.rows[0].cells.length - 2)];
    if (next[0] === d && next[1] === a) return;
    [d, a] = next;
    const button = body.rows[d].cells[a + 1].querySelector("button");
    if (button === null) continue; // nothing was asked there
    for (const other of body.querySelectorAll("button[tabindex='0']")) other.tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
    return;
  }
}

/** A map without words: a path for each colour. */
function smallMap(panel, rows, columns, fitting) {
  const { down, across, cell } = laid(panel, rows, columns);
  const paths = new Map();
  down.forEach((d, y) => across.forEach((a, x) => {
    const found = cell(d, a);
    if (found === null || !fitting.has(found)) return;
    const shape = `M${x * SMALL} ${y * SMALL}h${SMALL - 1}v${SMALL - 1}h${1 - SMALL}z`;
    paths.set(shade(found), (paths.get(shade(found)) ?? "") + shape);
  }));
  const [width, height] = [across.length * SMALL, down.length * SMALL];
  const svg = make("svg:svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    [...paths].map(([style, d]) => make("svg:path", { d, class: style })));
  const bad = [...fitting].filter((one) => one.panel === panel && one.verdict === "violated").length;
  const all = [...fitting].filter((one) => one.panel === panel && !one.empty).length;
  const [module] = data.panels[panel];
  const words = ofPanel(data.panels[panel]);
  return make("button", {
    type: "button", class: "small", "aria-pressed": String(panel === state.panel), "aria-label": `${module}, ${words}: ${bad} of ${all} violated`,
    "data-small": panel, onclick: () => choose(panel),
  }, svg, make("span", {}, words), make("span", { class: "dim" }, `${bad}/${all} violated`));
}

function choose(panel) {
  state.panel = panel;
  render();
  document.querySelector(`[data-small="${panel}"]`)?.focus();
  document.querySelector(`figure[data-panel="${panel}"]`)?.scrollIntoView({ block: "nearest" });
}

function render() {
  const list = points.filter(fits);
  const fitting = new Set(list);
  const [rows, columns] = axes(list);
  const answered = list.filter((cell) => !cell.empty);
  const bad = answered.filter((cell) => cell.verdict === "violated").length;
  byId("count").textContent = points.length === 0
    ? "Nothing has been explored yet: there is no point in this data set."
    : `${answered.length.toLocaleString("en")} of ${data.points.length.toLocaleString("en")} points shown, ${bad.toLocaleString("en")} of them violated`;
  const panels = data.panels.map((_, n) => n).filter((n) => state.module === "" || data.panels[n][0] === state.module);
  const modules = [...new Set(panels.map((n) => data.panels[n][0]))];
  const [, packages, cpus] = data.panels[state.panel] ?? [];
  const several = data.panels.some(([, p, c]) => p !== packages || c !== cpus);
  byId("overview").hidden = !several;
  if (several) {
    byId("multiples").replaceChildren(...modules.map((module) => make("div", { class: "kind" },
      module === "-" ? null : make("h3", {}, module),
      make("div", { class: "strip" }, panels.filter((n) => data.panels[n][0] === module).map((n) => smallMap(n, rows, columns, fitting))))));
  }
  const chosen = panels.filter((n) => data.panels[n][1] === packages && data.panels[n][2] === cpus);
  byId("maps").replaceChildren(...(list.length
    ? chosen.map((n) => heatMap(n, rows, columns, fitting))
    : points.length ? [make("p", { class: "notice" }, "No cell fits these filters.")] : []));
}

/** The legend counts what there is, and filters by it. */
function legend() {
  const counts = new Map();
  for (const cell of points) counts.set(classOf(cell), (counts.get(classOf(cell)) ?? 0) + 1);
  const words = { S0: "catastrophic", S1: "deadlock or a loss for good", S2: "hits a user", S3: "off until reboot", S4: "nuisance", ok: "good" };
  const order = [...data.severities, "violated", "incomplete", "vacuous", "holds"];
  byId("legend").replaceChildren(...order.filter((name) => counts.has(name)).map((name) => make("button", {
    type: "button", class: "key", "aria-pressed": "false", "data-severity": name,
    onclick: (event) => {
      const on = !state.severities.has(name);
      state.severities[on ? "add" : "delete"](name);
      event.currentTarget.setAttribute("aria-pressed", String(on));
      render();
    },
  }, make("span", { class: `chip s-${name}` }, name), make("span", {}, words[name] ?? ""), make("span", { class: "dim" }, counts.get(name).toLocaleString("en")))));
}
