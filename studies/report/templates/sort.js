// Sorts a table by the column whose head is pressed. Numbers go from high to low first, words from A on; words
// among numbers stand behind them, rows without a value last, rows of axis ticks below all.
(() => {
  const valueOf = (cell) => {
    const text = (cell.dataset.value ?? cell.textContent).trim();
    if (text === "" || text === "\u2013") return null;
    const plain = text.replace(/\u2212/g, "-").replace(/,/g, "").replace(/^<\s*/, "");
    const number = cell.classList.contains("n") ? Number.parseFloat(plain) : NaN;
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    const last = [...body.rows].filter((row) => row.classList.contains("ticks"));
    const rows = [...body.rows].filter((row) => !row.classList.contains("ticks"));
    const keyed = rows.map((row) => [valueOf(row.cells[column]), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return direction * (typeof a === "number" ? a - b : a.localeCompare(b));
    });
    body.append(...keyed.map(([, row]) => row), ...last);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.classList.contains("plot")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const first = head.classList.contains("n") ? "descending" : "ascending";
        const other = first === "descending" ? "ascending" : "descending";
        const now = was === first ? other : first;
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", now);
        sort(table, column, now === "ascending" ? 1 : -1);
      });
    });
  }
})();
