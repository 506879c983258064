(function () {
  const PAGE = matchMedia("(max-width: 640px)").matches ? 10 : 50;
  const trades = JSON.parse(document.getElementById("journal-data").textContent);
  const body = document.getElementById("journal-rows");
  const filters = Object.fromEntries(
    ["symbol", "side", "result", "search"].map((name) => [name, document.getElementById("journal-" + name)])
  );
  const known = (value, digits) => (value === null || value === undefined ? "" : digits ? value.toFixed(digits) : value);
  const tests = {
    won: (trade) => Number(trade.pnl) > 0,
    lost: (trade) => Number(trade.pnl) <= 0,
    ambiguous: (trade) => trade.ambiguous,
  };
  let page = 0;

  for (const symbol of [...new Set(trades.map((trade) => trade.symbol))].sort()) {
    filters.symbol.add(new Option(symbol, symbol));
  }

  function chosen() {
    const wanted = filters.search.value.toLowerCase();
    return trades.filter(
      (trade) =>
        (!filters.symbol.value || trade.symbol === filters.symbol.value) &&
        (!filters.side.value || trade.side === filters.side.value) &&
        (!filters.result.value || tests[filters.result.value](trade)) &&
        (!wanted || JSON.stringify([trade.id, trade.model, trade.session, trade.regime, trade.by, trade.reasons]).toLowerCase().includes(wanted))
    );
  }

  function cell(row, text, className) {
    const made = row.insertCell();
    made.textContent = text;
    if (className) made.className = className;
  }

  function draw() {
    const found = chosen();
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    body.replaceChildren();
    for (const trade of found.slice(page * PAGE, (page + 1) * PAGE)) {
      const row = body.insertRow();
      row.tabIndex = 0;
      row.className = "trade";
      cell(row, trade.in);
      cell(row, trade.symbol);
      cell(row, trade.side);
      cell(row, trade.lots, "n");
      cell(row, trade.entry, "n");
      cell(row, trade.stop, "n");
      cell(row, trade.target, "n");
      cell(row, trade.exit, "n");
      cell(row, trade.minutes + " min", "n");
      cell(row, trade.by + (trade.ambiguous ? "*" : ""));
      cell(row, (Number(trade.pnl) > 0 ? "+" : "") + trade.pnl.replace("-", "\u2212"), "n " + (Number(trade.pnl) > 0 ? "up" : "down"));
      cell(row, known(trade.r, 2).replace("-", "\u2212"), "n");
      cell(row, known(trade.probability, 3), "n");
      cell(row, trade.model || "none");
      row.addEventListener("click", () => toggle(row, trade));
      row.addEventListener("keydown", (event) => event.key === "Enter" && toggle(row, trade));
    }
    document.getElementById("journal-count").textContent =
      found.length.toLocaleString("en") + " of " + trades.length.toLocaleString("en") + " trades, page " + (page + 1) + " of " + pages;
    document.getElementById("journal-back").disabled = page === 0;
    document.getElementById("journal-on").disabled = page === pages - 1;
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
      trade.regime + " market",
      trade.mae === undefined ? "" : "against it " + trade.mae.toFixed(2) + " R",
      trade.mfe === undefined ? "" : "for it " + trade.mfe.toFixed(2) + " R",
    ].filter(Boolean).join(" \u00b7 ");
    facts.append(about, list);
    if (trade.bars && trade.bars.at.length) plot(chart, trade);
    else chart.textContent = "The bars around this trade are not in the page: only those of the newest trades are.";
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
  document.getElementById("journal-back").addEventListener("click", () => { page -= 1; draw(); });
  document.getElementById("journal-on").addEventListener("click", () => { page += 1; draw(); });
  draw();
})();
