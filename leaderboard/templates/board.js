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

  // Backbones: a choice above the table hides the models of other backbones; controls stay.
  for (const table of Object.values(tables)) {
    const models = all("tbody:not(.controls) tr", table);
    const names = [...new Set(models.map((row) => row.dataset.backbone).filter(Boolean))].sort();
    if (!names.length) continue;
    const choice = make("select", {}, ...["", ...names].map((name) => make("option", { value: name, textContent: name || "all" })));
    choice.addEventListener("change", () => {
      for (const row of models) row.hidden = choice.value !== "" && row.dataset.backbone !== choice.value;
    });
    table.closest(".scroll").before(make("label", { className: "choice" }, "Backbone ", choice));
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

  // Players of one clip share a clock. The longest video leads, so that every video reaches its end.
  function players(clip) {
    const videos = all("video", clip);
    const fps = parseFloat(clip.dataset.fps);
    const frame = fps > 0 ? 1 / fps : 0.04;
    const button = (text, label) => {
      const element = make("button", { type: "button", textContent: text });
      element.setAttribute("aria-label", label);
      return element;
    };
    const play = button("Play", "Play all videos of this clip");
    const back = button("\u2212 1", "One frame back");
    const forth = button("+ 1", "One frame forward");
    const scrub = make("input", { type: "range", min: "0", max: "1", step: "any", value: "0" });
    scrub.setAttribute("aria-label", "Time in the clip");
    const clock = make("output", { textContent: "not loaded" });
    clip.querySelector(".players").before(make("div", { className: "transport" }, play, back, forth, scrub, clock));
    let playing = false, busy = false;

    const length = (video) => (Number.isFinite(video.duration) ? video.duration : 0);
    const leader = () => videos.reduce((best, video) => (length(video) > length(best) ? video : best));
    const load = () => videos.forEach((video) => {
      if (video.preload === "none") { video.preload = "auto"; video.load(); }
    });
    const show = () => {
      const video = leader(), end = length(video);
      if (!end) return;
      scrub.max = String(end);
      if (!busy) scrub.value = String(video.currentTime);
      const count = Math.max(1, Math.round(end / frame));
      const now = Math.min(count, Math.floor(video.currentTime / frame + 1e-3) + 1);
      clock.textContent = `${video.currentTime.toFixed(2)} s, frame ${now} / ${count}`;
    };
    const seek = (time) => {
      // Seek to the middle of a frame, so that rounding cannot select its neighbour.
      const middle = (Math.floor(time / frame + 1e-3) + 0.5) * frame;
      for (const video of videos) video.currentTime = Math.max(0, Math.min(middle, length(video) - frame / 2));
    };
    const stop = () => {
      playing = false;
      play.textContent = "Play";
      videos.forEach((video) => video.pause());
    };
    const tick = () => {
      if (!playing) return;
      const lead = leader();
      for (const video of videos) {
        const behind = Math.abs(video.currentTime - lead.currentTime);
        if (video !== lead && behind > 2 * frame && lead.currentTime < length(video)) video.currentTime = lead.currentTime;
      }
      show();
      if (lead.ended) stop();
      else requestAnimationFrame(tick);
    };
    const step = (frames) => { load(); stop(); seek(Math.max(0, leader().currentTime + frames * frame)); };

    for (const video of videos) {
      video.controls = false;
      video.muted = video.playsInline = true;
      for (const event of ["loadedmetadata", "seeked", "timeupdate"]) video.addEventListener(event, show);
    }
    play.addEventListener("click", async () => {
      load();
      if (playing) return stop();
      const lead = leader();
      if (lead.ended) videos.forEach((video) => { video.currentTime = 0; });
      playing = true;
      play.textContent = "Pause";
      await Promise.allSettled(videos.map((video) => video.play()));
      tick();
    });
    back.addEventListener("click", () => step(-1));
    forth.addEventListener("click", () => step(1));
    scrub.addEventListener("pointerdown", () => { busy = true; load(); });
    scrub.addEventListener("change", () => { busy = false; });
    scrub.addEventListener("input", () => { load(); stop(); seek(parseFloat(scrub.value)); });
    clip.addEventListener("toggle", () => { if (!clip.open) stop(); });
    // Load videos only when the clip becomes visible.
    new IntersectionObserver((entries) => {
      if (clip.open && entries.some((entry) => entry.isIntersecting)) load();
    }).observe(clip.querySelector(".players"));
  }
  all(".clip").filter((clip) => clip.querySelector("video")).forEach(players);
})();
