// Draws the charts, and draws them again where the page turns dark or light.
const specs = JSON.parse(document.getElementById("specs").textContent);
const themes = JSON.parse(document.getElementById("themes").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();

async function draw(element) {
  const name = element.dataset.chart;
  const theme = dark.matches ? "dark" : "light";
  drawn.get(name)?.finalize();
  const options = { mode: "vega-lite", actions: false, renderer: "svg", config: themes[theme], tooltip: { theme } };
  drawn.set(name, await vegaEmbed(element, specs[name], options));
}

const drawAll = () => Promise.all([...document.querySelectorAll("[data-chart]")].map(draw));
dark.addEventListener("change", drawAll);
drawAll().then(() => document.documentElement.classList.add("drawn"));
