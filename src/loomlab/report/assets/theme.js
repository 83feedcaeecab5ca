// Light or dark, as the reader's system is until the button says otherwise; on paper always light.
// All colours but those of the runs are variables of the style sheet, which figures read as well.
const isDark = () => document.documentElement.dataset.theme === "dark";
const look = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

function paintPage(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "dark" ? "light" : "dark";
  if (!page.data) return;
  paint();
  for (const panel of page.panels) panel();
}

function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)"),
    named = dark => (dark ? "dark" : "light");
  paintPage(named(system.matches));
  system.addEventListener("change", event => paintPage(named(event.matches)));
  $("theme").addEventListener("click", () => paintPage(named(!isDark())));
  startPrinting();
}

// On paper the figures are as wide as the paper, and what is folded is open.
const printing = () => document.body.classList.contains("printing");

function startPrinting() {
  let before = null;
  addEventListener("beforeprint", () => {
    const folded = [...document.querySelectorAll("details:not([open])")];
    before = {theme: document.documentElement.dataset.theme, folded};
    for (const node of folded) node.open = true;
    document.body.classList.add("printing");
    paintPage("light");
  });
  addEventListener("afterprint", () => {
    for (const node of before.folded) node.open = false;
    document.body.classList.remove("printing");
    paintPage(before.theme);
    for (const node of document.querySelectorAll(".figure"))
      if (node.data) Plotly.Plots.resize(node);
  });
}
