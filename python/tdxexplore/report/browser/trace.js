// A trace as swim lanes: a lane for each actor, with its locks as bars beside it, then a lane for each CPU. Rows are text that
// folds; the lanes are one drawing to their left, made again when the rows change their heights.

const LANE = 16; // width of a lane, and of a CPU's
const BAR = 7; // of a lock
const MOST_LANES = 12; // CPUs with a lane each; with more, the text alone names them

function unpack(packed) {
  const [replay, ending, waits, why, actors, rows, bars] = packed;
  return {
    replay, ending, waits, why, actors,
    rows: rows.map(([n, actor, cpus, where, said, inside, title, notes, source, picked, changes, more, held, others]) => ({
      n, actor, cpus, where: T[where], said: T[said], inside: inside.map((i) => T[i]), title: T[title],
      notes: notes.map((i) => T[i]), source: T[source], picked: T[picked],
      changes: changes.map((change) => change.map((i) => T[i])), more,
      held: held.map(([lock, shared, who, on]) => ({ lock: T[lock], shared, who: T[who], on: T[on] })),
      others: others.map((other) => other.map((i) => T[i])),
    })),
    bars: bars.map(([actor, slot, lock, shared, where, since, until]) => ({
      actor, slot, lock: T[lock], shared, where: T[where], since, until,
    })),
  };
}

/** Where the lanes stand: the middle of each actor's and CPU's, and how wide all are. */
function lanesOf(trace) {
  const slots = trace.actors.map((_, actor) =>
    Math.max(0, ...trace.bars.filter((bar) => bar.actor === actor).map((bar) => bar.slot + 1)));
  let x = 6;
  const actors = trace.actors.map((name, actor) => {
    const lane = { name, x: x + LANE / 2, bars: x + LANE };
    x += LANE + slots[actor] * BAR + 8;
    return lane;
  });
  const narrow = innerWidth < 640; // where the text alone names them, too
  const used = narrow ? [] : [...new Set(trace.rows.flatMap((row) => (row.cpus.length > MOST_LANES ? [] : row.cpus)))].sort((a, b) => a - b);
  const cpus = new Map();
  if (used.length <= MOST_LANES) {
    x += 6;
    for (const cpu of used) {
      cpus.set(cpu, x + LANE / 2);
      x += LANE;
    }
  }
  return { actors, cpus, width: x + 6 };
}

/** The lanes beside rows that are laid out already. */
function draw(trace, lanes, svg, list, now) {
  const heads = 74;
  const rows = [...list.children].filter((row) => row.dataset.row !== undefined);
  const top = (row) => rows[row].offsetTop - list.offsetTop;
  const middle = (row) => top(row) + Math.min(rows[row].offsetHeight / 2, 14);
  const height = list.offsetHeight;
  svg.setAttribute("width", lanes.width);
  svg.setAttribute("height", height + heads);
  svg.setAttribute("viewBox", `0 ${-heads} ${lanes.width} ${height + heads}`);
  const parts = [];
  const line = (x1, y1, x2, y2, style) => make("svg:line", { x1, y1, x2, y2, class: style });
  const head = (x, text, style) =>
    make("svg:text", { x: 0, y: 0, class: style, transform: `translate(${x + 3} -5) rotate(-55)` }, text.length > 15 ? `${text.slice(0, 14)}…` : text);
  lanes.actors.forEach((lane, actor) => {
    parts.push(line(lane.x, 0, lane.x, height, "lane"), head(lane.x, lane.name, `name a${actor % 8}`));
  });
  for (const [cpu, x] of lanes.cpus) parts.push(line(x, 0, x, height, "lane cpu"), head(x, `CPU ${cpu}`, "name"));
  for (const bar of trace.bars) {
    const y = bar.since < 0 ? 0 : middle(bar.since);
    const end = bar.until === null ? height : middle(bar.until);
    const title = `${bar.lock} (${bar.shared ? "shared" : "exclusive"}), ${trace.actors[bar.actor]} ${bar.where}`;
    parts.push(make("svg:rect", {
      x: lanes.actors[bar.actor].bars + bar.slot * BAR, y, width: BAR - 2, height: Math.max(end - y, 5), rx: 2,
      class: `bar a${bar.actor % 8} ${bar.shared ? "shared" : "exclusive"}`,
    }, make("svg:title", {}, title)));
  }
  let before = null;
  trace.rows.forEach((row, n) => {
    const y = middle(n);
    const x = lanes.actors[row.actor].x;
    const style = `a${row.actor % 8}`;
    if (before !== null) parts.unshift(line(before.x, before.y, x, y, "order"));
    before = { x, y };
    const places = row.cpus.map((cpu) => lanes.cpus.get(cpu)).filter((place) => place !== undefined);
    if (places.length > 0) {
      parts.push(line(x, y, Math.max(...places), y, `reach ${style}`));
      for (const place of places) {
        parts.push(make("svg:rect", { x: place - 4, y: y - 4, width: 8, height: 8, rx: 1.5, class: `on ${style}` }));
      }
    }
    parts.push(make("svg:circle", { cx: x, cy: y, r: n === now ? 6.5 : 4.5, class: `dot ${style}${n === now ? " now" : ""}` }));
  });
  svg.replaceChildren(make("svg:title", {}, "Swim lanes of the trace"), ...parts);
}

/** What is known of one step. */
function panel(trace, n) {
  const row = trace.rows[n];
  const parts = [
    make("h4", {}, `Step ${row.n} of ${trace.steps}: ${trace.actors[row.actor]}${row.where ? ` on ${row.where}` : ""}`),
    row.inside.length > 0 ? make("p", { class: "inside" }, row.inside.join(" › ")) : null,
    make("p", { class: "happened" }, row.said.trim()),
    row.picked ? make("p", { class: "dim" }, `The CPU was a choice of ${row.picked}.`) : null,
    row.source ? make("p", { class: "dim" }, `Stands for: ${row.source}`) : null,
  ];
  if (row.changes.length > 0) {
    const rows = row.changes.map(([name, old, now]) => [make("code", {}, name), old, now]);
    parts.push(make("h5", {}, "Changed"), table(["field", "before", "after"], rows));
    if (row.more > 0) parts.push(make("p", { class: "dim" }, `and ${row.more} more, alike on other CPUs`));
  } else {
    parts.push(make("h5", {}, "Changed"), make("p", { class: "dim" }, "nothing but where the actor stands"));
  }
  const held = row.held.map(({ lock, shared, who, on }) =>
    make("li", {}, make("code", {}, lock), ` ${shared ? "shared" : "exclusive"}, by ${who}${on ? ` on ${on}` : ""}`));
  parts.push(make("h5", {}, "Locks held after it"), held.length ? make("ul", {}, held) : make("p", { class: "dim" }, "none"));
  const others = row.others.map(([who, on, what]) =>
    make("li", {}, make("b", {}, who), on ? ` on ${on}` : "", ` ${what}`));
  parts.push(make("h5", {}, "What else could have happened here"),
    others.length ? make("ul", {}, others) : make("p", { class: "dim" }, "nothing: this was the only step"));
  return parts;
}

/** A trace that can be stepped through. Returns its element; `element.step(by)` moves. */
function traceView(packed) {
  const trace = unpack(packed);
  const last = trace.rows.length - 1;
  trace.steps = last < 0 ? "0" : trace.rows[last].n.split("-").pop();
  const lanes = lanesOf(trace);
  const svg = make("svg:svg", { role: "img", class: "lanes" });
  const list = make("ol", { class: "rows", style: `margin-left:${lanes.width + 4}px` });
  const side = make("div", { class: "side", "aria-live": "polite" });
  const slider = make("input", { type: "range", min: 0, max: Math.max(last, 0), value: 0, "aria-label": "Step of the trace" });
  const buttons = [["first", "«"], ["previous", "‹"], ["next", "›"], ["last", "»"]].map(([name, sign]) =>
    make("button", { type: "button", class: "plain", "aria-label": `${name} step`, "data-go": name, title: `${name} step` }, sign));
  let now = 0;
  const rows = trace.rows.map((row, n) => make("li", {
    "data-row": n, onclick: () => go(n, false),
  }, make("span", { class: "n" }, row.n), make("span", { class: `who a${row.actor % 8}` }, trace.actors[row.actor]),
  make("span", { class: "where" }, row.where), make("span", { class: row.said.startsWith("  ") ? "what in" : "what" }, row.said.trim())));
  list.append(...rows);

  function go(n, scroll = true) {
    if (last < 0) return;
    rows[now].removeAttribute("aria-current");
    now = Math.min(Math.max(n, 0), last);
    rows[now].setAttribute("aria-current", "step");
    slider.value = now;
    slider.setAttribute("aria-valuetext", `step ${trace.rows[now].n}`);
    side.replaceChildren(...panel(trace, now).filter((part) => part !== null));
    buttons[0].disabled = buttons[1].disabled = now === 0;
    buttons[2].disabled = buttons[3].disabled = now === last;
    draw(trace, lanes, svg, list, now);
    if (scroll) rows[now].scrollIntoView({ block: "nearest" });
  }

  const moves = { first: () => go(0), previous: () => go(now - 1), next: () => go(now + 1), last: () => go(last) };
  for (const button of buttons) button.addEventListener("click", moves[button.dataset.go]);
  slider.addEventListener("input", () => go(Number(slider.value)));
  const end = [
    trace.ending ? make("p", { class: "ending" }, `Outcome: ${trace.ending}`) : null,
    ...trace.waits.map((wait) => make("p", { class: "ending" }, `Waiting for ever: ${wait}`)),
  ].filter((part) => part !== null);
  const element = make("div", { class: "trace" },
    make("div", { class: "stepper", role: "group", "aria-label": "Step through the trace" }, buttons, slider),
    make("div", { class: "split" },
      make("div", { class: "flow" }, make("div", { class: "canvas" }, svg, list), end), side));
  element.step = (by) => go(now + by);
  element.trace = trace;
  new ResizeObserver(() => draw(trace, lanes, svg, list, now)).observe(list);
  go(0, false);
  return element;
}
