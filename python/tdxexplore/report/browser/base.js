// Data and the few helpers that every other script uses. Text enters the page as text nodes and attributes only, so that no name
// of a policy is ever markup.

const data = JSON.parse(document.getElementById("data").textContent);
const T = data.texts;

/** An element with attributes and children; a text child is a text node, null is left out. */
function make(tag, attributes = {}, ...children) {
  const made = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);

/** A point of the data with names in the place of positions. */
function point(row) {
  const [r, c, p, verdict, complete, reason, states, transitions, interleavings, explored, depth, command, found] = row;
  const findings = found.map(finding);
  const outcomes = findings.filter((one) => one.kind === "outcome");
  const failing = findings.filter((one) => one.kind !== "outcome");
  return {
    row: r, column: c, panel: p, verdict: T[verdict], complete: complete === 1, reason: T[reason], states, transitions,
    interleavings, explored, depth, command: T[command], findings, outcomes, failing,
    worst: outcomes[0] ?? null,
  };
}

function finding(row) {
  const [kind, name, severity, states, interleavings, share, probability, steps, trace, cpus, packages, again, text] = row;
  return {
    kind: T[kind], name: T[name], severity: data.severities[severity], states, interleavings, share, probability, steps, trace,
    cpus, packages, again: T[again], text: T[text],
  };
}

/** A cell without an answer: the scenario cannot happen, or was not explored. */
function unanswered([row, column, panel, verdict, reason]) {
  return {
    row, column, panel, verdict, reason, complete: false, findings: [], outcomes: [], failing: [], worst: null, command: "",
    empty: true,
  };
}

const points = [...data.points.map(point), ...data.unanswered.map(unanswered)];
const at = new Map(points.map((one) => [`${one.panel}/${one.row}/${one.column}`, one]));
const cellAt = (panel, row, column) => at.get(`${panel}/${row}/${column}`) ?? null;

/** Nothing is said of an axis that a model of one's own does not have. */
const ofModule = (module) => (module === "-" ? "" : `module kind ${module}, `);

const ofPanel = ([, packages, cpus]) =>
  `${cpus} CPU${cpus === 1 ? "" : "s"}${packages > 1 ? ` in ${packages} packages` : ""}`;

/** What the colour of a cell says, in a class. */
function shade(cell) {
  if (cell === null) return "absent";
  if (cell.worst !== null) return `s-${cell.worst.severity}`;
  return cell.empty ? "absent" : `s-${cell.verdict}`;
}

/** A share or a probability. */
function fraction(value) {
  if (value === null) return "–";
  if (value === 0 || value === 1) return String(value);
  return value >= 1e-4 ? value.toFixed(4) : value.toExponential(2);
}

const chip = (severity) => make("span", { class: `chip s-${severity}` }, severity);

/** A line of code with a button that copies it. */
function command(text, label) {
  const said = make("span", { class: "said", role: "status" });
  const copy = make("button", {
    type: "button",
    class: "plain copy",
    "aria-label": `Copy: ${label}`,
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        said.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(code);
        said.textContent = "selected: copy it with the keyboard";
      }
    },
  }, "Copy");
  const code = make("code", { tabindex: "0" }, text);
  return make("div", { class: "command" }, make("span", { class: "what" }, label), code, copy, said);
}

/** A table with heads; every cell is a text or an element. */
function table(heads, rows, attributes = {}) {
  const head = make("tr", {}, heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map((row) => make("tr", {}, row.map((cell) => make("td", {}, cell))));
  return make("div", { class: "wide" }, make("table", attributes, make("thead", {}, head), make("tbody", {}, body)));
}
