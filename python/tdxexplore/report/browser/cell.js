// A cell that was opened: the answer to one question, and a trace of each thing that was found.

let opened = null; // the cell that is shown, and what had the focus before
const dialog = byId("cell");

/** The name of a cell in the address, so that a link opens it. */
function hashOf(cell) {
  const [module, packages, cpus] = data.panels[cell.panel];
  return `#${[data.rows[cell.row][1], module, data.columns[cell.column][1], `${packages}x${cpus}`].map(encodeURIComponent).join("/")}`;
}

function openCell(cell) {
  const [policy, label, knobs] = data.rows[cell.row];
  const [scenario, , happens] = data.columns[cell.column];
  const [module] = data.panels[cell.panel];
  opened = { cell, from: document.activeElement, view: null };
  const close = make("button", { type: "button", class: "plain close", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const head = make("header", {},
    make("div", {},
      make("h2", { id: "cell-head" }, scenario === "-" ? label : `${label} · ${scenario}`),
      make("p", { class: "dim" }, `${ofModule(module)}${ofPanel(data.panels[cell.panel])}${scenario === "-" ? "" : `: ${happens || data.columns[cell.column][1]}`}`)),
    close);
  const trace = make("section", { class: "shown", "aria-label": "Trace" });
  const body = make("div", { class: "body" }, verdict(cell), findings(cell, trace), trace, again(cell, policy, knobs));
  dialog.replaceChildren(head, body);
  dialog.showModal();
  history.replaceState(null, "", hashOf(cell));
  const first = cell.findings.find((one) => one.trace >= 0) ?? cell.findings[0];
  if (first !== undefined) show(first, cell, trace);
  body.scrollTop = 0;
}

function verdict(cell) {
  const said = [make("b", { class: `verdict v-${cell.verdict.replace(/\W/g, "-")}` }, cell.verdict)];
  if (cell.reason) said.push(`: ${cell.reason}`);
  if (!cell.empty) {
    said.push(make("span", { class: "dim" }, ` · ${cell.interleavings} interleavings, ${cell.states} concrete states, ` +
      `${cell.transitions} transitions; ${cell.explored.toLocaleString("en")} states stored, depth ${cell.depth}`));
  }
  return make("p", { class: "answer" }, said);
}

/** A row for each thing that was found; choosing one shows its trace. */
function findings(cell, place) {
  if (cell.findings.length === 0) {
    return make("p", {}, cell.empty ? "There is no answer here." : "No run has come to an end.");
  }
  const rows = cell.findings.map((one, n) => {
    const choose = make("button", {
      type: "button", class: "choose", "aria-pressed": "false", "data-finding": n, onclick: () => show(one, cell, place),
    }, one.name);
    const share = make("span", { class: "share" }, make("span", { class: `fill s-${one.severity}`, style: `width:${(one.share ?? 0) * 100}%` }));
    const kind = one.kind === "outcome" ? "" : one.kind === "invariant" ? "invariant fails" : "can become impossible";
    return [chip(one.severity), make("span", {}, choose, kind ? make("span", { class: "dim" }, ` ${kind}`) : ""),
      one.kind === "outcome" ? one.interleavings : "", one.kind === "outcome" ? make("span", { class: "figure" }, fraction(one.share), share) : "",
      one.kind === "outcome" ? fraction(one.probability) : "", one.states, one.steps === null ? "–" : String(one.steps)];
  });
  const heads = ["sev", "found", "interleavings", "share", "probability", "states", "steps"];
  return make("section", { "aria-label": "What was found" }, table(heads, rows, { class: "findings" }),
    make("p", { class: "dim small" }, `${data.share}.`));
}

/** Show what a finding means, and its trace. */
function show(one, cell, place) {
  const n = cell.findings.indexOf(one);
  for (const button of dialog.querySelectorAll("[data-finding]")) {
    button.setAttribute("aria-pressed", String(button.dataset.finding === String(n)));
  }
  const meaning = data.panels[cell.panel][0] === "-" ? "" : data.meanings[one.name];
  const parts = [make("h3", {}, chip(one.severity), ` ${one.name}${one.text ? `: ${one.text}` : ""}`)];
  if (meaning) parts.push(make("p", {}, meaning));
  opened.view = null;
  if (one.trace >= 0) {
    const view = traceView(data.traces[one.trace]);
    opened.view = view;
    const [, packages, cpus] = data.panels[cell.panel];
    const here = one.cpus === cpus && one.packages === packages;
    if (view.trace.why.length) parts.push(reasons(view.trace.why, here ? "" : ofPanel([null, one.packages, one.cpus])));
    parts.push(make("h3", {}, here ? "Shortest trace" : `Shortest trace, on ${ofPanel([null, one.packages, one.cpus])}: the fewest at which this occurs`));
    parts.push(view, command(view.trace.replay, "Replay this trace"));
    if (!here && one.again) parts.push(command(one.again, `Replay the trace on ${ofPanel(data.panels[cell.panel])}`));
  } else {
    parts.push(make("p", { class: "dim" }, "No trace is drawn here."));
    if (one.again) parts.push(command(one.again, "Replay its shortest trace"));
  }
  place.replaceChildren(...parts);
}

/** The why of a trace: sentences with lists, where a tag says what is known of an item. */
function reasons(why, where) {
  return make("section", { class: "why", "aria-label": "Why" }, make("h3", {}, where ? `Why, on ${where}` : "Why"),
    why.map(([said, items, after]) => make("div", { class: after ? "after" : "" }, make("p", {}, T[said]),
      items.length ? make("ul", {}, items.map(([text, tag]) => make("li", {}, T[text],
        T[tag] ? make("span", { class: "tag" }, T[tag]) : null))) : null)));
}

function again(cell, policy, knobs) {
  const parts = [];
  if (cell.command) parts.push(command(cell.command, "Check it again"));
  else if (!cell.empty) parts.push(make("p", { class: "dim" }, "This policy is not built in: `tdxexplore report --policy FILE.py:NAME` names its file, and commands appear here."));
  if (knobs) parts.push(make("p", { class: "dim small" }, `knobs: ${knobs}`));
  if (data.designs[policy]) {
    parts.push(make("p", {}, make("button", { type: "button", class: "plain", onclick: () => toDesign(policy) }, `Steps and sources of ${policy}`)));
  }
  return make("section", { class: "again", "aria-label": "Commands" }, parts);
}

function toDesign(policy) {
  dialog.close();
  const section = document.querySelector(`[data-design="${CSS.escape(policy)}"]`);
  section.open = true;
  section.querySelector("summary").focus();
  section.scrollIntoView({ block: "start" });
}

dialog.addEventListener("close", () => {
  history.replaceState(null, "", location.pathname + location.search);
  if (opened?.from?.isConnected) opened.from.focus();
  opened = null;
  dialog.replaceChildren();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // outside of it
});
dialog.addEventListener("keydown", (event) => {
  const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (by === undefined || !opened?.view || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.matches("input, select, textarea")) return; // the slider moves by itself
  event.preventDefault();
  opened.view.step(by);
});
