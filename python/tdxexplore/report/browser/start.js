// What happens when the page has loaded: set-up, filters, descriptions of the policies, the theme, and the cell of the address.

function setUp() {
  const rows = data.setup;
  byId("setup").querySelector("dl").append(...rows.flatMap(([name, text]) => [make("dt", {}, name), name === "command"
    ? make("dd", {}, command(text, ""))
    : make("dd", {}, text)]));
  byId("setup-line").textContent = rows.length ? rows[0][1] : "";
}

function filters() {
  const options = (id, all, names) => {
    const select = byId(id);
    select.closest("label").hidden = new Set(names).size < 2; // nothing to choose
    select.append(make("option", { value: "" }, all), ...[...new Set(names)].map((name) => make("option", { value: name }, name)));
    select.addEventListener("change", () => {
      state[id] = select.value;
      if (id === "module" && select.value) {
        const [, packages, cpus] = data.panels[state.panel];
        const same = data.panels.findIndex(([m, p, c]) => m === select.value && p === packages && c === cpus);
        state.panel = same >= 0 ? same : data.panels.findIndex(([m]) => m === select.value);
      }
      render();
    });
  };
  options("policy", "all", data.rows.map((row) => row[0]));
  options("scenario", "all", data.columns.map((column) => column[0]));
  options("module", "all", data.panels.map((panel) => panel[0]));
  byId("text").addEventListener("input", (event) => {
    state.text = event.target.value;
    render();
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => {
    Object.assign(state, { text: "", policy: "", scenario: "", module: "" });
    state.severities.clear();
    byId("filters").reset();
    legend();
    render();
  });
}

function designs() {
  const list = (texts) => make("ul", {}, texts.map((text) => make("li", {}, text)));
  const sections = Object.entries(data.designs).map(([name, of]) => {
    const steps = [...grouped(of.steps)];
    return make("details", { class: "design", "data-design": name },
      make("summary", {}, make("h3", {}, name), make("span", { class: "dim" }, ` ${of.title}`)),
      make("p", {}, "Source: ", of.source, "."),
      make("h4", {}, "Read"), list(of.read),
      make("h4", {}, "Our reading, or an assumption"), list(of.reading),
      of.knobs.length ? [make("h4", {}, "Knobs"), table(["knob", "values, the default first", "what is chosen"], of.knobs)] : [],
      of.hooks.length ? [make("h4", {}, "Callbacks of CPU hotplug"), table(["cpuhp state", "startup", "teardown"], of.hooks)] : [],
      steps.flatMap(([actor, rows]) => [make("h4", {}, "Steps of ", make("code", {}, actor)),
        table(["step", "in", "on", "stands for"], rows.map((row) => row.slice(1)), { class: "steps" })]),
      of.abstracted.length ? [make("h4", {}, "Left out, and why that hides no outcome"), list(of.abstracted)] : []);
  });
  byId("designs").append(...sections);
  byId("designs").hidden = sections.length === 0;
}

function grouped(rows) {
  const found = new Map();
  for (const row of rows) found.set(row[0], [...(found.get(row[0]) ?? []), row]);
  return found;
}

function theme() {
  const button = byId("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null; // by the button; else as the system has it
  const set = () => {
    const isDark = chosen === null ? dark.matches : chosen === "dark";
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    button.textContent = isDark ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    set();
  });
  dark.addEventListener("change", set);
  set();
}

function fromAddress() {
  if (location.hash.length < 2) return;
  const cell = points.find((one) => hashOf(one) === location.hash);
  if (cell !== undefined && dialog.open === false) {
    state.panel = cell.panel;
    render();
    openCell(cell);
  }
}

theme();
setUp();
filters();
legend();
designs();
// The map that is shown at first is that of the most CPUs up to four: small enough to follow, large enough for what needs others.
const four = data.panels.map(([, p, c], n) => [p === 1 && c <= 4 ? c : -1, -n]).reduce((a, b) => (b[0] > a[0] ? b : a), [-2, 0]);
state.panel = -four[1];
render();
fromAddress();
addEventListener("hashchange", fromAddress);
