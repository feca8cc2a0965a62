"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Sorting: rows move inside their own section of the table; rows without a number come last.
  const sorts = {};
  function sort(table, column, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("head"));
      const value = (row) => {
        const cell = row.cells[column];
        if (cell.dataset.v !== undefined) return parseFloat(cell.dataset.v);
        const text = cell.textContent.trim();
        if (cell.tagName === "TH" || cell.classList.contains("word")) return text;
        const number = parseFloat(text.replaceAll("\u2212", "-"));
        return Number.isNaN(number) ? null : number;
      };
      const rank = (x) => (x === null ? 2 : typeof x === "string" ? 1 : 0);
      const order = (a, b) => {
        const x = value(a), y = value(b);
        if (rank(x) !== rank(y)) return rank(x) - rank(y);
        if (x === null || x === y) return 0;
        return sign * (typeof x === "string" ? x.localeCompare(y) : x < y ? -1 : 1);
      };
      body.append(...rows.sort(order));
    }
    const heads = all("thead th", table);
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", direction);
  }
  const tables = Object.fromEntries(all("table[data-board]").map((table) => [table.dataset.board, table]));
  for (const [name, table] of Object.entries(tables)) {
    all("thead th", table).forEach((head, column) => {
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.dataset.first === "down" ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const direction = head.getAttribute("aria-sort") === first ? other : first;
        sort(table, column, direction);
        sorts[name] = `${column}${direction[0]}`;
        history.replaceState(null, "", "#sort=" + Object.entries(sorts).map((pair) => pair.join(".")).join(","));
      });
    });
  }
  function restore() {
    const match = /^#sort=([\w.,]+)$/.exec(location.hash);
    for (const part of match ? match[1].split(",") : []) {
      const [name, state] = part.split(".");
      const column = parseInt(state, 10);
      const table = Object.hasOwn(tables, name) ? tables[name] : null;
      if (!table || !(column >= 0 && column < table.tHead.rows[0].cells.length)) continue;
      sorts[name] = state;
      sort(table, column, state.endsWith("a") ? "ascending" : "descending");
    }
  }
  restore();

  // Tools above a main table: search, filters, choice of columns, copies.
  const FILTERS = { check: "Check", streams: "Streams", licence: "Licence", saw: "Saw", backbone: "Backbone" };
  for (const table of all("table.board")) {
    const rows = all("tbody tr:not(.head)", table);
    const models = rows.filter((row) => !row.classList.contains("control"));
    const tools = make("div", { className: "tools" });
    const heads = all("thead th", table);

    const search = make("input", { type: "search", placeholder: "Find a contestant" });
    search.setAttribute("aria-label", "Find a contestant");
    const choices = Object.entries(FILTERS).flatMap(([key, label]) => {
      const values = [...new Set(models.map((row) => row.dataset[key] || ""))].sort();
      if (values.length < 2) return [];
      const select = make("select", {}, make("option", { value: "*", textContent: "all" }),
        ...values.map((value) => make("option", { value, textContent: value || "none" })));
      tools.append(make("label", {}, `${label} `, select));
      return [[key, select]];
    });
    const filter = () => {
      const text = search.value.trim().toLowerCase();
      for (const row of rows) {
        const found = row.cells[0].textContent.toLowerCase().includes(text);
        const kept = row.classList.contains("control") || choices.every(([key, select]) => select.value === "*" || (row.dataset[key] || "") === select.value);
        row.hidden = !(found && kept);
      }
    };
    search.addEventListener("input", filter);
    for (const [, select] of choices) select.addEventListener("change", filter);
    tools.prepend(search);

    const show = (column, visible) => {
      for (const row of table.rows) if (!row.classList.contains("head") && row.cells[column]) row.cells[column].hidden = !visible;
    };
    const boxes = heads.map((head, column) => {
      if (!column) return null;
      const box = make("input", { type: "checkbox", checked: head.dataset.primary !== undefined });
      box.addEventListener("change", () => show(column, box.checked));
      show(column, box.checked);
      return box;
    });
    const every = make("button", { type: "button", textContent: "All columns" });
    const primary = make("button", { type: "button", textContent: "Primary columns" });
    const set = (want) => boxes.forEach((box, column) => {
      if (!box) return;
      box.checked = want(heads[column]);
      show(column, box.checked);
    });
    every.addEventListener("click", () => set(() => true));
    primary.addEventListener("click", () => set((head) => head.dataset.primary !== undefined));
    const list = make("ul", {}, ...heads.slice(1).map((head, place) => {
      const label = make("label", {}, boxes[place + 1], ` ${head.querySelector("span").textContent}`);
      const item = make("li", {}, label);
      if (head.dataset.about) {
        const about = make("a", { href: `#${head.dataset.about}`, textContent: "explained" });
        about.setAttribute("aria-label", `${head.querySelector("span").textContent} explained`);
        item.append(" ", about);
      }
      return item;
    }));
    const hidden = boxes.filter((box) => box && !box.checked).length;
    const columns = make("details", { className: "columns" }, make("summary", { textContent: hidden ? `Columns (${hidden} more)` : "Columns" }), every, " ", primary, list);
    tools.append(columns);

    // Copies hold what is visible: the value with its interval, without ranks and footnotes.
    const text = (cell) => {
      const copy = cell.cloneNode(true);
      const interval = all("small", copy).map((small) => small.textContent).find((line) => line.startsWith("["));
      all("small, sup, .rank, .badge, svg", copy).forEach((part) => part.remove());
      return copy.textContent.replace(/\s+/g, " ").trim() + (interval && cell.tagName === "TD" ? ` ${interval}` : "");
    };
    const grid = () => [...table.rows].filter((row) => !row.hidden && !row.classList.contains("head"))
      .map((row) => [...row.cells].filter((cell) => !cell.hidden).map(text));
    const escapes = { "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "∞": "$\\infty$", "−": "$-$", "–": "--", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "Δ": "$\\Delta$" };
    const latex = (cell) => cell.replace(/[\\{}↑↓∞−–~^Δ&%$#_]/g, (sign) => escapes[sign] || `\\${sign}`);
    const formats = {
      Markdown: (lines) => {
        const row = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
        return [row(lines[0]), row(lines[0].map((_, place) => (place ? "---:" : "---"))), ...lines.slice(1).map(row)].join("\n");
      },
      LaTeX: (lines) => {
        const row = (cells) => `${cells.map(latex).join(" & ")} \\\\`;
        return [`\\begin{tabular}{l${"r".repeat(lines[0].length - 1)}}`, "\\toprule", row(lines[0]), "\\midrule", ...lines.slice(1).map(row), "\\bottomrule", "\\end{tabular}"].join("\n");
      },
      CSV: (lines) => lines.map((cells) => cells.map((cell) => {
        const safe = /^[=+\-@]/.test(cell) ? `'${cell}` : cell;
        return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
      }).join(",")).join("\n"),
    };
    const said = make("output", {});
    const area = make("textarea", { readOnly: true, hidden: true, rows: 8 });
    area.setAttribute("aria-label", "Copy of the table");
    for (const [format, write] of Object.entries(formats)) {
      const button = make("button", { type: "button", textContent: `Copy ${format}` });
      button.addEventListener("click", async () => {
        area.value = write(grid()) + "\n";
        try {
          await navigator.clipboard.writeText(area.value);
          area.hidden = true;
          said.textContent = `${format} copied`;
        } catch {
          area.hidden = false;
          area.select();
          said.textContent = "Copy the marked text";
        }
      });
      tools.append(button);
    }
    tools.append(said, area);
    table.closest(".scroll").before(tools);
  }

  // A link to a clip opens it.
  function reveal() {
    const target = location.hash.startsWith("#sort=") ? null : document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }
  addEventListener("hashchange", () => { restore(); reveal(); });
  reveal();

  // Legends: a pressed entry stays visible, the others are dimmed in every figure of the board.
  for (const legend of all("[data-legend]")) {
    const section = legend.closest("section");
    const pressed = new Set();
    for (const item of all("li", legend)) {
      const button = make("button", { type: "button" });
      button.append(...item.childNodes);
      button.setAttribute("aria-pressed", "false");
      item.append(button);
      button.addEventListener("click", () => {
        const mark = item.dataset.mark;
        if (!pressed.delete(mark)) pressed.add(mark);
        button.setAttribute("aria-pressed", String(pressed.has(mark)));
        for (const curve of all(".curve", section)) {
          const keep = !pressed.size || [...pressed].some((name) => curve.classList.contains(name));
          curve.classList.toggle("dim", !keep);
        }
      });
    }
  }

  // Films play while they are pointed at, focused or tapped, all from the same moment.
  for (const strip of all(".strip")) {
    const films = all("video", strip);
    for (const video of films) {
      const start = parseFloat(video.dataset.start), end = parseFloat(video.dataset.end);
      video.controls = false;
      video.muted = video.playsInline = true;
      video.tabIndex = 0;
      const rewind = () => { if (!(video.currentTime >= start && video.currentTime < end)) video.currentTime = start; };
      const run = () => {
        for (const other of films) if (other !== video) other.pause();
        if (video.readyState) rewind();
        video.play().catch(() => {});
      };
      video.addEventListener("loadedmetadata", rewind);
      video.addEventListener("timeupdate", () => { if (!video.paused && video.currentTime >= end) video.currentTime = start; });
      video.addEventListener("ended", () => { video.currentTime = start; video.play().catch(() => {}); });
      video.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") run(); });
      video.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") video.pause(); });
      video.addEventListener("blur", () => video.pause());
      const toggle = () => (video.paused ? run() : video.pause());
      video.addEventListener("pointerup", (event) => { if (event.pointerType !== "mouse") toggle(); });
      video.addEventListener("keydown", (event) => {
        if (event.key === " " || event.key === "Enter") { event.preventDefault(); toggle(); }
      });
    }
    const button = make("button", { type: "button", textContent: "Play all" });
    button.addEventListener("click", () => {
      const playing = films.some((video) => !video.paused);
      for (const video of films) {
        if (playing) { video.pause(); continue; }
        if (video.readyState) video.currentTime = parseFloat(video.dataset.start);
        video.play().catch(() => {});
      }
      button.textContent = playing ? "Play all" : "Pause all";
    });
    strip.before(make("p", { className: "choice" }, button));
  }
})();
