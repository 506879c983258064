(function () {
  const PAGE = matchMedia("(max-width: 640px)").matches ? 10 : 50;
  const trades = JSON.parse(document.getElementById("journal-data").textContent);
  const body = document.getElementById("journal-rows");
  const filters = Object.fromEntries(
    ["symbol", "side", "result", "search"].map((name) => [name, document.getElementById("journal-" + name)])
  );
  const format = (value, digits) => (value === null || value === undefined ? "" : digits ? value.toFixed(digits) : value);
  const tests = {
    won: (trade) => Number(trade.pnl) > 0,
    lost: (trade) => Number(trade.pnl) <= 0,
    ambiguous: (trade) => trade.ambiguous,
  };
  let page = 0;

  for (const symbol of [...new Set(trades.map((trade) => trade.symbol))].sort()) {
    filters.symbol.add(new Option(symbol, symbol));
  }

  function filtered() {
    const query = filters.search.value.toLowerCase();
    return trades.filter(
      (trade) =>
        (!filters.symbol.value || trade.symbol === filters.symbol.value) &&
        (!filters.side.value || trade.side === filters.side.value) &&
        (!filters.result.value || tests[filters.result.value](trade)) &&
        (!query || JSON.stringify([trade.id, trade.model, trade.session, trade.regime, trade.by, trade.reasons]).toLowerCase().includes(query))
    );
  }

  function addCell(row, text, className) {
    const cell = row.insertCell();
    cell.textContent = text;
    if (className) cell.className = className;
  }

  function draw() {
    const matching = filtered();
    const pages = Math.max(1, Math.ceil(matching.length / PAGE));
    page = Math.min(page, pages - 1);
    body.replaceChildren();
    for (const trade of matching.slice(page * PAGE, (page + 1) * PAGE)) {
      const row = body.insertRow();
      row.tabIndex = 0;
      row.className = "trade";
      addCell(row, trade.in);
      addCell(row, trade.symbol);
      addCell(row, trade.side);
      addCell(row, trade.lots, "n");
      addCell(row, trade.entry, "n");
      addCell(row, trade.stop, "n");
      addCell(row, trade.target, "n");
      addCell(row, trade.exit, "n");
      addCell(row, trade.minutes + " min", "n");
      addCell(row, trade.by + (trade.ambiguous ? "*" : ""));
      addCell(row, (Number(trade.pnl) > 0 ? "+" : "") + trade.pnl.replace("-", "\u2212"), "n " + (Number(trade.pnl) > 0 ? "up" : "down"));
      addCell(row, format(trade.r, 2).replace("-", "\u2212"), "n");
      addCell(row, format(trade.probability, 3), "n");
      addCell(row, trade.model || "none");
      row.addEventListener("click", () => toggle(row, trade));
      row.addEventListener("keydown", (event) => event.key === "Enter" && toggle(row, trade));
    }
    document.getElementById("journal-count").textContent =
      matching.length.toLocaleString("en") + " of " + trades.length.toLocaleString("en") + " trades, page " + (page + 1) + " of " + pages;
    document.getElementById("journal-previous").disabled = page === 0;
    document.getElementById("journal-next").disabled = page === pages - 1;
  }

  function toggle(row, trade) {
    const next = row.nextElementSibling;
    if (next && next.className === "detail") {
      next.remove();
      return;
    }
    const detail = body.insertRow(row.sectionRowIndex + 1);
    detail.className = "detail";
    const holder = detail.insertCell();
    holder.colSpan = row.cells.length;
    const facts = document.createElement("div");
    const chart = document.createElement("div");
    facts.className = "why";
    chart.className = "window";
    holder.append(facts, chart);
    const lines = trade.reasons === null ? ["no decision in the ledger"] : trade.reasons;
    const list = document.createElement("ul");
    for (const line of lines) list.appendChild(document.createElement("li")).textContent = line;
    const about = document.createElement("p");
    about.className = "muted";
    about.textContent = [
      "decision " + (trade.decision || "none"),
      trade.session + " session",
      trade.regime + " regime",
      trade.mae === undefined ? "" : "adverse excursion " + trade.mae.toFixed(2) + " R",
      trade.mfe === undefined ? "" : "favourable excursion " + trade.mfe.toFixed(2) + " R",
    ].filter(Boolean).join(" \u00b7 ");
    facts.append(about, list);
    if (trade.bars && trade.bars.at.length) plot(chart, trade);
    else chart.textContent = "No chart: the page stores the bars around the newest trades only.";
  }

  function plot(holder, trade) {
    const start = Date.parse(trade.bars.from.replace(" ", "T") + "Z");
    const iso = (at) => new Date(at).toISOString().slice(0, 16).replace("T", " ");
    const times = trade.bars.at.map((minute) => iso(start + 60000 * minute));
    const flat = (price, name, color, dash) => ({
      x: [trade.in, trade.out], y: [price, price], mode: "lines", name: name, line: { color: color, dash: dash, width: 1.5 },
    });
    const traces = [
      {
        type: "candlestick", x: times, open: trade.bars.o, high: trade.bars.h, low: trade.bars.l, close: trade.bars.c, name: "M1 bars",
        increasing: { line: { color: "#1a7f6b", width: 1 }, fillcolor: "#b9ddd4" }, decreasing: { line: { color: "#b8433a", width: 1 }, fillcolor: "#ecc9c5" },
      },
      flat(trade.stop, "stop", "#b8433a", "dot"),
      flat(trade.target, "target", "#1a7f6b", "dot"),
      {
        x: [trade.in, trade.out], y: [trade.entry, trade.exit], mode: "lines+markers", name: trade.side, line: { color: "#2a5d9f", width: 2 },
        marker: { size: 9, symbol: [trade.side === "buy" ? "triangle-up" : "triangle-down", "x"] },
      },
    ];
    if (trade.level !== null) {
      traces.push({ x: [times[0], trade.out], y: [trade.level, trade.level], mode: "lines", name: "level", line: { color: "#7a5c9e", width: 1.5 } });
    }
    Plotly.newPlot(holder, traces, {
      height: 320, margin: { l: 60, r: 8, t: 8, b: 30 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff", font: { family: "system-ui, sans-serif", size: 12, color: "#5f6b7a" },
      xaxis: { type: "date", rangeslider: { visible: false }, gridcolor: "#e8ebef" }, yaxis: { gridcolor: "#e8ebef", tickformat: "~f" }, legend: { orientation: "h", y: 1.12 },
    }, { displaylogo: false, responsive: true });
  }

  for (const filter of Object.values(filters)) {
    filter.addEventListener("input", () => { page = 0; draw(); });
  }
  document.getElementById("journal-previous").addEventListener("click", () => { page -= 1; draw(); });
  document.getElementById("journal-next").addEventListener("click", () => { page += 1; draw(); });
  draw();
})();
