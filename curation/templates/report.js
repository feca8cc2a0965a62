"use strict";
// Table of spans, player with keypoints, curves, and review. Data of a source or a clip is a script that calls
// `tpReport`, because pages opened from a file may not fetch files.
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const { sources, spans, files, edges } = DATA;
  const $ = (id) => document.getElementById(id);
  const VERDICT = { keep: "kept", reject: "rejected", error: "undecided" };

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  function svg(tag, attributes) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  }
  const seconds = (value) => value.toFixed(2);
  const number = (value) => (value === null || value === undefined ? "–" : String(+value.toPrecision(4)));
  let fading = 0;
  function say(text) {
    $("status").textContent = text;
    clearTimeout(fading);
    fading = setTimeout(() => { $("status").textContent = ""; }, 5000);
  }

  // ---- data files -------------------------------------------------------------------------------------------
  const loaded = new Map();
  const waiting = new Map();
  window.tpReport = (name, content) => loaded.set(name, content);
  function load(name) {
    if (!name) return Promise.resolve(null);
    if (loaded.has(name)) return Promise.resolve(loaded.get(name));
    if (!waiting.has(name)) {
      waiting.set(name, new Promise((done) => {
        const script = el("script", { src: `${files}/${name}.js` });
        script.onload = () => done(loaded.get(name) || null);
        script.onerror = () => { waiting.delete(name); script.remove(); done(null); };
        document.head.append(script);
      }));
    }
    return waiting.get(name);
  }
  function bytes(text) {
    const raw = atob(text);
    const found = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i += 1) found[i] = raw.charCodeAt(i);
    return found;
  }
  const shorts = (text) => new Uint16Array(bytes(text).buffer);

  // ---- labels: parts of a span with a person's verdict ------------------------------------------------------
  const STORE = `tp-curate labels ${DATA.key}`;
  const keyOf = (span) => `${sources[span.source].id}:${span.start_frame}`;
  let labels = {};
  let stores = true;
  try { labels = stored(localStorage.getItem(STORE)); } catch { stores = false; }
  function stored(text) {
    let found = {};
    try { found = JSON.parse(text || "{}"); } catch { return {}; }
    const usable = Object.entries(found || {}).map(([key, parts]) => [key, Array.isArray(parts) ? parts.filter(isPart) : []]);
    return Object.fromEntries(usable.filter(([, parts]) => parts.length));
  }
  function isPart(part) {
    return part && typeof part.keep === "boolean" && part.start >= 0 && part.end > part.start
      && typeof part.reason === "string" && typeof part.note === "string";
  }
  function remember(span, parts) {
    if (parts.length) labels[keyOf(span)] = parts; else delete labels[keyOf(span)];
    try { localStorage.setItem(STORE, JSON.stringify(labels)); stores = true; } catch { stores = false; }
    showProgress();
  }
  const partsOf = (span) => labels[keyOf(span)] || [];
  function labelOf(span) {
    const parts = partsOf(span);
    if (!parts.length) return "";
    const kinds = new Set(parts.map((part) => part.keep));
    return kinds.size > 1 ? "mixed" : kinds.has(true) ? "keep" : "reject";
  }
  const isCorrected = (span) => Boolean(labelOf(span)) && labelOf(span) !== span.verdict;
  // Disjoint rows: where parts overlap, the shorter one counts.
  function rowsOf(span) {
    const parts = [...partsOf(span)].sort((a, b) => a.end - a.start - (b.end - b.start));
    const cuts = [...new Set(parts.flatMap((part) => [part.start, part.end]))].sort((a, b) => a - b);
    const rows = [];
    for (let i = 0; i + 1 < cuts.length; i += 1) {
      const part = parts.find((one) => one.start <= cuts[i] && one.end >= cuts[i + 1]);
      const last = rows[rows.length - 1];
      if (!part) continue;
      if (last && last.part === part && last.end === cuts[i]) last.end = cuts[i + 1];
      else rows.push({ part, start: cuts[i], end: cuts[i + 1] });
    }
    return rows;
  }
  const COLUMNS = ["file", "keep", "start_s", "end_s", "reason", "note", "source_id"];
  const quoted = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const exact = (value) => String(+value.toFixed(3));
  function table() {
    const lines = [COLUMNS.join(",")];
    for (const span of [...spans].sort((a, b) => a.source - b.source || a.start_s - b.start_s)) {
      const source = sources[span.source];
      for (const { part, start, end } of rowsOf(span)) {
        const cells = [source.file, part.keep ? "yes" : "no", exact(start), exact(end), part.reason, part.note, source.id];
        lines.push(cells.map(quoted).join(","));
      }
    }
    return `${lines.join("\r\n")}\r\n`;
  }
  function download() {
    const address = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
    const link = el("a", { href: address, download: "labels.csv" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    say("labels.csv saved to your downloads");
  }
  function parsed(text) {
    const rows = [[]];
    let cell = "", inside = false;
    const body = text.replace(/^\ufeff/, "");
    for (let i = 0; i < body.length; i += 1) {
      const sign = body[i];
      if (inside) {
        if (sign !== '"') cell += sign;
        else if (body[i + 1] === '"') { cell += '"'; i += 1; } else inside = false;
      } else if (sign === '"') inside = true;
      else if (sign === ",") { rows[rows.length - 1].push(cell); cell = ""; }
      else if (sign === "\n" || sign === "\r") {
        if (sign === "\r" && body[i + 1] === "\n") i += 1;
        rows[rows.length - 1].push(cell); cell = ""; rows.push([]);
      } else cell += sign;
    }
    rows[rows.length - 1].push(cell);
    return rows.filter((row) => row.some((one) => one !== ""));
  }
  function take(text) {
    const [header, ...rows] = parsed(text);
    if (!header || !header.includes("file") || !header.includes("keep")) {
      say("labels not loaded: the file has no columns file and keep");
      return;
    }
    let taken = 0, lost = 0;
    const found = new Map();
    for (const row of rows) {
      const cell = Object.fromEntries(header.map((name, i) => [name, row[i] || ""]));
      const word = cell.keep.trim().toLowerCase();
      const keep = ["yes", "y", "1", "true", "keep"].includes(word);
      const start = cell.start_s ? Number(cell.start_s) : 0;
      const end = cell.end_s ? Number(cell.end_s) : Infinity;
      const known = keep || ["no", "n", "0", "false", "reject"].includes(word);
      const mine = known && start >= 0 && end > start ? spans.filter((span) => {
        const source = sources[span.source];
        const same = cell.source_id ? source.id === cell.source_id : endsAlike(source.file, cell.file);
        return same && Math.min(end, span.end_s) - Math.max(start, span.start_s) > 0.002;
      }) : [];
      if (mine.length) taken += 1; else lost += 1;
      for (const span of mine) {
        const part = { keep, start: Math.max(start, span.start_s), end: Math.min(end, span.end_s), reason: cell.reason || "", note: cell.note || "" };
        found.set(span, [...(found.get(span) || []), part]);
      }
    }
    for (const [span, parts] of found) remember(span, parts);
    say(`${taken} labels loaded${lost ? `; ${lost} rows fit no span of this run` : ""}`);
    showTable();
    if (current) showReview();
  }
  function endsAlike(one, other) {
    const a = one.split("/").reverse(), b = other.split("/").reverse();
    return other !== "" && a.slice(0, b.length).every((part, i) => part === b[i]) || b.slice(0, a.length).every((part, i) => part === a[i]);
  }
  function showProgress() {
    const reviewed = spans.filter((span) => labelOf(span));
    const corrected = reviewed.filter(isCorrected).length;
    const warning = stores ? "" : " This browser keeps nothing for this page: save labels.csv before you close it.";
    const text = `${reviewed.length} of ${spans.length} spans reviewed, ${corrected} corrected.${warning}`;
    for (const node of document.querySelectorAll(".progress")) node.textContent = text;
  }

  // ---- table ------------------------------------------------------------------------------------------------
  const PAGE = 200;
  let shown = PAGE;
  let order = [];
  const sorting = { by: "source", down: false };
  const SORTS = {
    verdict: (span) => span.verdict,
    source: (span) => sources[span.source].name.toLowerCase(),
    start: (span) => span.start_s,
    length: (span) => span.end_s - span.start_s,
    reason: (span) => (span.reasons[0] || "").toLowerCase(),
    label: (span) => labelOf(span),
  };
  function matching() {
    const verdict = $("verdict").value, reason = $("reason").value, review = $("review").value;
    const words = $("words").value.trim().toLowerCase();
    return spans.filter((span) => {
      const source = sources[span.source];
      if (verdict && (verdict === "duplicate" ? span.duplicate_of === null : span.verdict !== verdict)) return false;
      if (reason && !span.reasons.includes(reason)) return false;
      if (review === "open" && labelOf(span)) return false;
      if (review === "done" && !labelOf(span)) return false;
      if (review === "corrected" && !isCorrected(span)) return false;
      if (!words) return true;
      return `${source.name} ${source.id} ${span.clip_id || ""} ${span.reasons.join(" ")}`.toLowerCase().includes(words);
    });
  }
  function showTable() {
    const value = SORTS[sorting.by], sign = sorting.down ? -1 : 1;
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    order = matching().sort((a, b) => sign * compare(value(a), value(b)) || a.number - b.number);
    $("rows").replaceChildren(...order.slice(0, shown).map(row));
    $("more").hidden = order.length <= shown;
    $("count").textContent = `${order.length} of ${spans.length} spans`;
    for (const head of document.querySelectorAll("th[data-sort]")) {
      const own = head.dataset.sort === sorting.by;
      head.setAttribute("aria-sort", own ? (sorting.down ? "descending" : "ascending") : "none");
    }
  }
  function row(span) {
    const source = sources[span.source];
    const label = labelOf(span);
    const where = `${seconds(span.start_s)}–${seconds(span.end_s)} s`;
    return el("tr", { "data-verdict": span.verdict },
      el("td", { class: "verdict" }, badge(span)),
      el("td", { class: "text source" }, el("a", { href: addressOf(span) }, source.name)),
      el("td", { class: "when" }, where),
      el("td", { class: "length" }, seconds(span.end_s - span.start_s)),
      el("td", { class: "text why" }, span.duplicate_of === null ? span.reasons.join("; ") : "duplicate"),
      el("td", { class: "label" }, label ? el("span", { class: `mark ${label}` }, label + (isCorrected(span) ? " ≠" : "")) : ""));
  }
  function badge(span) {
    const word = span.duplicate_of === null ? VERDICT[span.verdict] : "duplicate";
    return el("span", { class: `mark ${span.verdict}` }, word);
  }
  const addressOf = (span) => `#span=${encodeURIComponent(keyOf(span))}`;

  // ---- one span ---------------------------------------------------------------------------------------------
  let current = null;
  let pose = null;
  let detail = null;
  let frame = 0;
  let part = 0;
  const video = $("video");
  const canvas = $("overlay");

  async function open(span) {
    const isOther = span !== current;
    current = span;
    part = 0;
    pose = null;
    detail = null;
    const source = sources[span.source];
    $("overview").hidden = true;
    $("viewer").hidden = false;
    document.title = `${source.name}, ${seconds(span.start_s)} s`;
    $("title").replaceChildren(badge(span), ` ${source.name} `);
    const place = order.indexOf(span);
    const limits = `${seconds(span.start_s)}–${seconds(span.end_s)} s`;
    $("place").textContent = `${limits}${place < 0 ? "" : `, span ${place + 1} of ${order.length} in the table`}`;
    for (const [id, step] of [["before", -1], ["after", 1]]) {
      const next = neighbour(step);
      $(id).toggleAttribute("aria-disabled", !next);
      if (next) $(id).setAttribute("href", addressOf(next)); else $(id).removeAttribute("href");
    }
    showVideo(span);
    showReview();
    for (const id of ["facts", "filters-of", "curves", "evidence", "made-of"]) $(id).replaceChildren();
    if (isOther) { scrollTo(0, 0); $("title").focus({ preventScroll: true }); }
    const [about, points] = await Promise.all([load(source.data), load(span.keypoints)]);
    if (current !== span) return;
    detail = about ? about.spans.find((one) => one.start_frame === span.start_frame) : null;
    pose = points && { xy: shorts(points.xy), confidence: bytes(points.confidence), boxes: shorts(points.boxes), frames: points.frames };
    showPath(span, source, about);
    showCurves(span, about);
    draw(frame);
  }
  function close() {
    video.pause();
    const last = current;
    current = null;
    $("viewer").hidden = true;
    $("overview").hidden = false;
    document.title = DATA.title;
    showTable();
    if (!last) return;
    const link = [...document.querySelectorAll("#rows a")].find((one) => one.getAttribute("href") === addressOf(last));
    if (link) { link.focus(); link.scrollIntoView({ block: "center" }); }
  }
  function neighbour(step) {
    const place = order.indexOf(current);
    return place < 0 ? order[step > 0 ? 0 : -1] : order[place + step];
  }
  function go(step) {
    const next = neighbour(step);
    if (next) location.hash = addressOf(next);
    else say(step > 0 ? "this is the last span of the table" : "this is the first span of the table");
  }
  function route() {
    const found = /^#span=(.+)$/.exec(location.hash);
    let key = null;
    try { key = found && decodeURIComponent(found[1]); } catch { key = null; }
    const span = key === null ? null : spans.find((one) => keyOf(one) === key);
    if (span) open(span);
    else if (current) close();
  }

  function showVideo(span) {
    const preview = span.preview;
    frame = 0;
    $("player").hidden = !preview;
    $("silent").hidden = Boolean(preview);
    $("silent").textContent = span.no_preview || "";
    video.pause();
    video.removeAttribute("src");
    $("portrait").removeAttribute("src");
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    if (!preview) { video.load(); $("clock").textContent = ""; return; }
    $("stage").style.aspectRatio = `${preview.width} / ${preview.height}`;
    $("stage").style.maxWidth = `min(100%, calc(64vh * ${preview.width / preview.height}))`;
    video.poster = `${files}/${preview.portrait}`;
    $("portrait").src = video.poster;
    $("portrait").alt = span.clip_id ? "portrait: the first frame of the clip" : "first frame of the span";
    video.src = `${files}/${preview.video}`;
    video.load();
    const from = span.clip_id ? "Small copy of the clip" : "Small copy of the source";
    const cut = preview.end_s < span.end_s - 0.05 ? `, its first ${Math.round(preview.end_s - preview.start_s)} seconds` : "";
    $("origin").textContent = `${from}${cut}.${span.clip_id ? "" : " Keypoints of every frame exist only for kept clips."}`;
    for (const id of ["show-pose", "show-box"]) $(id).disabled = !span.keypoints;
    showClock();
  }
  const timeOf = (index) => {
    const { start_s: start, end_s: end, frames } = current.preview;
    return start + (end - start) * Math.min(index / frames, 1);
  };
  const frameAt = (time) => {
    const { start_s: start, end_s: end, frames } = current.preview;
    return Math.max(0, Math.min(frames - 1, Math.floor((time - start) / (end - start) * frames + 1e-6)));
  };
  function seek(index) {
    if (!current || !current.preview) return;
    const goal = Math.max(0, Math.min(current.preview.frames - 1, index));
    // The middle of a frame: no rounding shows its neighbour.
    video.currentTime = (goal + 0.5) / current.preview.fps;
    frame = goal;
    showClock();
  }
  function showClock() {
    if (!current || !current.preview) return;
    const { frames } = current.preview;
    $("clock").textContent = `${timeOf(frame).toFixed(3)} s, frame ${current.start_frame + frame} (${frame + 1} of ${frames})`;
    const line = $("curves").dataset;
    if (line.from === undefined) return;
    const share = (timeOf(frame) - line.from) / (line.to - line.from);
    for (const mark of document.querySelectorAll(".playhead")) {
      mark.setAttribute("x1", 1000 * share);
      mark.setAttribute("x2", 1000 * share);
    }
  }
  function present(mediaTime) {
    if (!current || !current.preview) return;
    frame = Math.max(0, Math.min(current.preview.frames - 1, Math.round(mediaTime * current.preview.fps)));
    showClock();
    draw(frame);
  }
  if (video.requestVideoFrameCallback) {
    const each = (now, info) => { present(info.mediaTime); video.requestVideoFrameCallback(each); };
    video.requestVideoFrameCallback(each);
  } else {
    const each = () => {
      if (current && current.preview) present(Math.floor(video.currentTime * current.preview.fps + 1e-3) / current.preview.fps);
      if (!video.paused) requestAnimationFrame(each);
    };
    for (const event of ["play", "seeked", "loadeddata"]) video.addEventListener(event, each);
  }
  video.addEventListener("error", () => { if (video.getAttribute("src")) say("this browser cannot play the video (H.264)"); });

  const SIDES = { left: "#ff9f1c", right: "#2ec4ff", face: "#ffffff", middle: "#b7f34d" };
  function draw(index) {
    const context = canvas.getContext("2d");
    const { clientWidth: width, clientHeight: height } = video;
    const scale = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    canvas.dataset.frame = index;
    if (pose && index < pose.frames) {
      if ($("show-pose").checked) drawPose(context, index, width, height);
      if ($("show-box").checked) {
        const [x0, y0, x1, y1] = [...pose.boxes.subarray(4 * index, 4 * index + 4)].map((edge) => edge / 65535);
        if (x1 > x0) drawBox(context, [x0, y0, x1, y1], width, height, "#b7f34d", "");
      }
    }
    if (!current || !detail || current.clip_id) return;
    for (const finding of detail.findings) {
      for (const seen of finding.evidence) {
        if (seen.box && Math.abs(seen.time_s - timeOf(index)) <= 0.5) drawBox(context, seen.box, width, height, "#ff5d5d", `${finding.filter}: ${seen.what}`);
      }
    }
  }
  function drawPose(context, index, width, height) {
    const count = edges.points;
    const at = (point) => {
      const place = index * count + point;
      const confidence = pose.confidence[place] / 255;
      return confidence >= 0.3 ? [pose.xy[2 * place] / 65535 * width, pose.xy[2 * place + 1] / 65535 * height, confidence] : null;
    };
    const unit = Math.max(width, height) / 480;
    context.lineCap = "round";
    for (const [side, own] of Object.entries(edges.lines)) {
      context.strokeStyle = context.fillStyle = SIDES[side.split(" ")[0]];
      context.lineWidth = (side.endsWith("body") ? 3 : 1.3) * unit;
      for (const [from, to] of own) {
        const a = at(from), b = at(to);
        if (!a || !b) continue;
        context.globalAlpha = Math.min(a[2], b[2]);
        context.beginPath();
        context.moveTo(a[0], a[1]);
        context.lineTo(b[0], b[1]);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  }
  function drawBox(context, [x0, y0, x1, y1], width, height, colour, text) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash(text ? [6, 4] : []);
    context.strokeRect(x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height);
    context.setLineDash([]);
    if (!text) return;
    context.font = "12px system-ui, sans-serif";
    const y = Math.max(y0 * height - 4, 12), x = Math.min(x0 * width, Math.max(width - context.measureText(text).width - 4, 0));
    context.fillStyle = "rgba(0, 0, 0, .65)";
    context.fillRect(x - 2, y - 11, context.measureText(text).width + 4, 15);
    context.fillStyle = colour;
    context.fillText(text, x, y);
  }

  // ---- decision path and curves -----------------------------------------------------------------------------
  function showPath(span, source, about) {
    const facts = [
      ["source", source.name], ["id", source.id], ["licence", source.license || "unknown"], ["by", source.uploader_id], ["address", source.url],
      ["source video", source.form], ["frames", `${span.start_frame} to ${span.end_frame - 1}`], ["decided by", `step ${span.step}`],
      ["because of", span.reasons.join("; ")], ["clip", span.clip_id], ["split", span.clip_id ? span.split || "not exported yet" : null],
      ["sound", detail && detail.clip && detail.clip.audio], ["crop", detail && detail.clip && detail.clip.crop],
    ];
    $("facts").replaceChildren(...facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
    const twin = span.duplicate_of === null ? null : spans[span.duplicate_of];
    if (twin) $("facts").append(el("div", {}, el("dt", {}, "same footage as"), el("dd", {}, el("a", { href: addressOf(twin) }, sources[twin.source].name))));
    if (!detail) {
      $("filters-of").append(el("p", { class: "muted" }, `The decision path is in ${files}/, which is not beside this page.`));
      return;
    }
    const rows = detail.findings.map((one) => {
      const word = one.passed === null ? "not run" : one.passed ? "passed" : "failed";
      const measured = one.passed === null ? "–" : one.measured === null ? "no measurement" : number(one.measured);
      const share = one.share === null || one.min_share === null ? "" : `${Math.round(100 * one.share)} % of samples, ${Math.round(100 * one.min_share)} % needed`;
      return el("tr", {}, el("th", { scope: "row" }, one.filter), el("td", {}, one.step), el("td", {}, el("span", { class: `mark ${one.passed === null ? "" : one.passed ? "keep" : "reject"}` }, word)),
        el("td", {}, measured), el("td", { class: "text" }, `${one.at_least ? "≥" : "≤"} ${number(one.threshold)} ${one.unit}`), el("td", { class: "text" }, share));
    });
    $("filters-of").append(el("div", { class: "scroll path", tabindex: "0", role: "region", "aria-label": "decision path" }, el("table", {},
      el("thead", {}, el("tr", {}, ...["filter", "step", "result", "measured", "threshold", "share"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, ...rows))));
    const places = detail.findings.flatMap((one) => one.evidence.map((seen) => [one, seen]));
    $("evidence").append(...places.map(([one, seen]) => el("li", {}, el("button", { type: "button", onclick: () => seek(current.preview ? frameAt(seen.time_s) : 0) }, `${seconds(seen.time_s)} s`), ` ${one.filter}: ${seen.what}`)));
    $("made-of").textContent = about.made_with;
  }
  function showCurves(span, about) {
    const box = $("curves");
    delete box.dataset.from;
    const own = about ? about.spans : [];
    if (!own.some((one) => one.times.length)) {
      box.append(el("p", { class: "muted" }, span.step === "index" || span.step === "gate" ? "This span was rejected before its frames were sampled." : "This run stored no curves: it was made by an earlier version. Curate the source again with --fresh to see them."));
      return;
    }
    const around = Math.max(20, (span.end_s - span.start_s) / 2);
    const from = Math.max(span.start_s - around, Math.min(...own.map((one) => one.start_s)));
    const to = Math.min(span.end_s + around, Math.max(...own.map((one) => one.end_s)));
    const near = own.filter((one) => one.end_s > from && one.start_s < to);
    const names = [...new Set(near.flatMap((one) => Object.keys(one.curves)))];
    const failed = (name) => detail && detail.findings.some((one) => one.filter === name && one.passed === false);
    names.sort((a, b) => failed(b) - failed(a));
    box.dataset.from = from;
    box.dataset.to = to;
    box.append(...names.map((name) => chart(name, near, span, from, to, failed(name))));
    showClock();
  }
  function chart(name, near, span, from, to, failed) {
    const finding = near.flatMap((one) => one.findings).find((one) => one.filter === name);
    const pieces = near.filter((one) => one.curves[name]).map((one) => {
      const { low, high, levels } = one.curves[name];
      return [...bytes(levels)].map((level, i) => [one.times[i], level === 255 ? null : low + (high - low) * level / 254]);
    });
    const values = pieces.flat().map(([, value]) => value).filter((value) => value !== null);
    const yesNo = finding && finding.yes_no;
    const threshold = finding && !yesNo ? finding.threshold : null;
    let low = Math.min(...values, threshold ?? Infinity), high = Math.max(...values, threshold ?? -Infinity);
    if (!values.length) { low = threshold ?? 0; high = low; }
    if (yesNo) { low = 0; high = 1; }
    const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
    low -= room;
    high += room;
    const x = (time) => 1000 * (time - from) / (to - from);
    const y = (value) => 100 - 100 * (value - low) / (high - low);
    const plot = svg("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": `${name} over time` });
    for (const one of near) {
      const kind = one.start_frame === span.start_frame ? "own" : "";
      plot.append(svg("rect", { class: `band ${one.verdict} ${kind}`, x: x(one.start_s), width: Math.max(x(one.end_s) - x(one.start_s), 1), y: 0, height: 100 }));
    }
    if (threshold !== null) plot.append(svg("line", { class: "threshold", x1: 0, x2: 1000, y1: y(threshold), y2: y(threshold) }));
    for (const piece of pieces) {
      let path = "", pen = false;
      for (const [time, value] of piece) {
        if (value === null || time === undefined) { pen = false; continue; }
        path += `${pen ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}${pen ? "" : "h.1"}`;
        pen = true;
      }
      plot.append(svg("path", { class: "curve", d: path }));
    }
    plot.append(svg("line", { class: "playhead", x1: 0, x2: 0, y1: 0, y2: 100 }));
    plot.addEventListener("click", (event) => {
      const area = plot.getBoundingClientRect();
      const time = from + (to - from) * (event.clientX - area.left) / area.width;
      const other = near.find((one) => one.start_s <= time && time < one.end_s);
      if (other && other.start_frame !== current.start_frame) location.hash = addressOf(spans.find((one) => one.source === current.source && one.start_frame === other.start_frame));
      else if (current.preview) seek(frameAt(time));
    });
    const sign = finding ? (yesNo ? `in ${Math.round(100 * finding.threshold)} % of samples` : `${finding.at_least ? "≥" : "≤"} ${number(finding.threshold)} ${finding.unit}`) : "";
    return el("figure", { class: "chart" }, el("figcaption", {}, el("strong", { class: failed ? "failed" : "" }, name), ` ${sign}`), plot,
      el("p", { class: "axis" }, el("span", {}, `${seconds(from)} s`), el("span", {}, values.length ? `${number(Math.min(...values))} to ${number(Math.max(...values))}` : "nothing measured"), el("span", {}, `${seconds(to)} s`)));
  }

  // ---- review -----------------------------------------------------------------------------------------------
  const fresh = (keep) => ({ keep, start: current.start_s, end: current.end_s, reason: "", note: "" });
  function showReview() {
    const parts = partsOf(current);
    const own = parts[part];
    for (const [id, keep] of [["keep", true], ["drop", false]]) $(id).setAttribute("aria-pressed", String(Boolean(own) && own.keep === keep));
    $("start").value = exact(own ? own.start : current.start_s);
    $("end").value = exact(own ? own.end : current.end_s);
    $("cause").value = own ? own.reason : "";
    $("note").value = own ? own.note : "";
    for (const id of ["start", "end", "cause", "note", "add", "clear"]) $(id).disabled = !own;
    $("parts").replaceChildren(...(parts.length < 2 ? [] : parts.map((one, i) => el("li", {}, el("button", { type: "button", "aria-pressed": String(i === part), onclick: () => { part = i; showReview(); } },
      `${one.keep ? "keep" : "reject"} ${exact(one.start)}–${exact(one.end)} s${one.reason ? `: ${one.reason}` : ""}`)))));
    showProgress();
  }
  function change(values) {
    const parts = partsOf(current).map((one) => ({ ...one }));
    if (!parts[part]) return;
    const next = { ...parts[part], ...values };
    if (!(next.start >= 0 && next.end > next.start)) {
      say("the end must be after the start");
      showReview();
      return;
    }
    parts[part] = next;
    remember(current, parts);
    showReview();
  }
  function judge(keep) {
    const parts = partsOf(current).map((one) => ({ ...one }));
    if (parts[part]) parts[part].keep = keep; else parts.push(fresh(keep));
    remember(current, parts);
    showReview();
    say(`${keep ? "keep" : "reject"}: ${keep === (current.verdict === "keep") ? "confirmed" : "corrected"}`);
  }
  function addPart() {
    const parts = partsOf(current).map((one) => ({ ...one }));
    if (!parts.length) { say("give a verdict on the whole span first"); return; }
    const start = current.preview ? Math.min(timeOf(frame), current.end_s - 0.1) : current.start_s;
    parts.push({ ...fresh(!parts[0].keep), start: Math.max(current.start_s, +start.toFixed(3)) });
    part = parts.length - 1;
    remember(current, parts);
    showReview();
    say("new part; set its ends with [ and ]");
  }
  function clear() {
    const parts = partsOf(current).filter((one, i) => i !== part);
    part = Math.max(0, part - 1);
    remember(current, parts);
    showReview();
    say("label removed");
  }
  function mark(edge) {
    if (!current.preview) { say("this span has no video: type the seconds"); return; }
    if (!partsOf(current).length) { say("give a verdict first: y or n"); return; }
    // The end of a part lies behind the frame that is shown.
    change({ [edge]: +timeOf(edge === "end" ? frame + 1 : frame).toFixed(3) });
  }

  // ---- keyboard ---------------------------------------------------------------------------------------------
  const play = () => (video.paused ? video.play().catch(() => {}) : video.pause());
  const KEYS = {
    " ": play, j: () => go(1), k: () => go(-1), ArrowRight: () => { video.pause(); seek(frame + 1); }, ArrowLeft: () => { video.pause(); seek(frame - 1); },
    ".": () => seek(frame + Math.round(current.preview ? current.preview.fps : 0)), ",": () => seek(frame - Math.round(current.preview ? current.preview.fps : 0)),
    y: () => judge(true), n: () => judge(false), Y: () => { judge(true); go(1); }, N: () => { judge(false); go(1); },
    "[": () => mark("start"), "]": () => mark("end"), a: addPart, x: clear, r: () => $("cause").focus(), t: () => $("note").focus(),
    o: () => { $("show-pose").checked = !$("show-pose").checked; draw(frame); }, b: () => { $("show-box").checked = !$("show-box").checked; draw(frame); },
    s: download, Escape: () => { location.hash = "#spans"; }, "?": () => { $("keys").open = !$("keys").open; },
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const typing = target.matches("input:not([type=checkbox]), select, textarea");
    if (typing && event.key === "Escape" && current) { target.blur(); $("title").focus(); event.preventDefault(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (current) {
      const isButton = target.matches("button, a, summary, input");
      if (isButton && (event.key === " " || event.key === "Enter")) return;
      const act = KEYS[event.key];
      if (act) { event.preventDefault(); event.stopPropagation(); act(); }
      return;
    }
    if (event.key === "/") { event.preventDefault(); $("words").focus(); }
    if (event.key === "s") download();
    if (event.key === "j" || event.key === "k") {
      const links = [...document.querySelectorAll("#rows a")];
      const next = links[Math.max(0, links.indexOf(document.activeElement) + (event.key === "j" ? 1 : -1))];
      if (next) { event.preventDefault(); next.focus(); next.scrollIntoView({ block: "nearest" }); }
    }
  }, true);

  // ---- start ------------------------------------------------------------------------------------------------
  spans.forEach((span, i) => { span.number = i; });
  const reasons = [...new Set(spans.flatMap((span) => span.reasons))].sort();
  $("reason").append(...reasons.map((reason) => el("option", { value: reason }, reason)));
  $("causes").append(...reasons.map((reason) => el("option", { value: reason })));
  for (const head of document.querySelectorAll("th[data-sort]")) {
    head.querySelector("button").addEventListener("click", () => {
      const by = head.dataset.sort;
      sorting.down = sorting.by === by && !sorting.down;
      sorting.by = by;
      showTable();
    });
  }
  for (const id of ["verdict", "reason", "review", "words"]) $(id).addEventListener("input", () => { shown = PAGE; showTable(); });
  $("more").addEventListener("click", () => { shown += PAGE; showTable(); });
  for (const button of document.querySelectorAll(".save")) button.addEventListener("click", download);
  $("load").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file && file.size > 20e6) say("labels not loaded: the file is larger than 20 MB");
    else if (file) take(await file.text());
    event.target.value = "";
  });
  for (const [id, act] of Object.entries({ keep: () => judge(true), drop: () => judge(false), add: addPart, clear, "from-here": () => mark("start"), "to-here": () => mark("end"), back: () => seek(frame - 1), forth: () => seek(frame + 1), play })) $(id).addEventListener("click", act);
  for (const id of ["start", "end"]) $(id).addEventListener("change", () => ($(id).value === "" ? showReview() : change({ [id]: Number($(id).value) })));
  $("cause").addEventListener("change", () => change({ reason: $("cause").value }));
  $("note").addEventListener("change", () => change({ note: $("note").value }));
  for (const id of ["show-pose", "show-box"]) $(id).addEventListener("change", () => draw(frame));
  for (const node of document.querySelectorAll("[data-span]")) node.setAttribute("href", addressOf(spans[Number(node.dataset.span)]));
  new ResizeObserver(() => draw(frame)).observe(video);
  addEventListener("hashchange", route);
  // Another tab of the same page may have changed the labels.
  addEventListener("storage", (event) => {
    if (event.key !== STORE) return;
    labels = stored(event.newValue);
    showTable();
    if (current) showReview();
  });
  showTable();
  showProgress();
  route();
})();
