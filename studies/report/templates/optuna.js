// Draws the figures of tuned studies with plotly, and hands their trials out as files.
(() => {
  const holders = [...document.querySelectorAll(".drawn")].map((holder) => {
    const figure = JSON.parse(holder.querySelector("script").textContent);
    holder.replaceChildren();
    return { holder, figure, drawn: false };
  });
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const coloured = (trace) => {
    if (trace.type === "contour") {
      const ends = [colour("accent"), colour("faint")];
      const [low, high] = trace.meta === "lower" ? ends : ends.reverse();
      return { ...trace, colorscale: [[0, low], [1, high]], line: { ...trace.line, color: colour("line") } };
    }
    return {
      ...trace,
      marker: { ...trace.marker, color: colour(trace.meta) },
      line: { ...trace.line, color: colour(trace.meta) },
    };
  };
  const shaped = (shape) => shape.name === "band"
    ? { ...shape, fillcolor: colour("stack"), opacity: 0.12, line: { width: 0 }, layer: "below" }
    : { ...shape, line: { color: colour("soft"), width: 1, dash: "dash" } };
  const draw = (item) => {
    const { holder, figure } = item;
    const low = holder.classList.contains("low");
    const axis = { gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, automargin: true };
    const layout = {
      height: low ? 220 : 280,
      margin: { l: 48, r: 12, t: low ? 8 : 44, b: 40 },
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      font: { color: colour("soft"), size: 12, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
      shapes: (figure.layout.shapes || []).map(shaped),
      xaxis: { ...axis, ...figure.layout.xaxis },
      yaxis: { ...axis, ...figure.layout.yaxis },
    };
    const options = { responsive: true, displaylogo: false, displayModeBar: false };
    Plotly.react(holder, figure.data.map(coloured), layout, options);
    item.drawn = true;
  };
  // Figures are drawn as they come near the window: a run has dozens.
  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      const item = holders.find(({ holder }) => holder === target);
      if (isIntersecting && !item.drawn) draw(item);
    }
  }, { rootMargin: "1200px" });
  for (const { holder } of holders) near.observe(holder);
  const again = () => holders.filter(({ drawn }) => drawn).forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("beforeprint", () => holders.forEach(draw));

  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const asCsv = ({ columns, parameters, trials }) => [
    [...columns, ...parameters.map((name) => `params_${name}`)],
    ...trials.map((trial) => [...columns.map((name) => trial[name]), ...parameters.map((name) => trial.params[name])]),
  ].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
  for (const button of document.querySelectorAll(".give")) {
    button.addEventListener("click", () => {
      const held = JSON.parse(document.getElementById(button.dataset.trials).textContent);
      const form = button.dataset.form;
      const text = form === "csv" ? asCsv(held) : JSON.stringify(held.trials, null, 1);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: form === "csv" ? "text/csv" : "application/json" }));
      link.download = `${held.name.replace(/[^\w.-]+/g, "_")}.${form}`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }
})();
