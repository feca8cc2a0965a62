"use strict";
(() => {
  const clip = document.getElementById("clip");
  const all = (selector, root = clip) => [...root.querySelectorAll(selector)];
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const videos = all("video");
  const known = parseFloat(clip.dataset.fps);
  const frame = known > 0 ? 1 / known : 0.04;
  const count = Math.max(1, parseInt(clip.dataset.frames, 10));
  const end = count * frame;
  let now = 0.5 * frame, playing = false, dragging = false, leader = null;

  // Controls shared by all videos.
  const button = (text) => make("button", { type: "button", textContent: text });
  const play = button("Play");
  const back = button("− 1 frame");
  const forth = button("+ 1 frame");
  const scrub = make("input", { type: "range", min: "0", max: String(end), step: "any", value: "0" });
  scrub.setAttribute("aria-label", "Time in the clip");
  const clock = make("output");
  const share = make("a", { textContent: "Link to this moment" });
  const speed = make("select", {}, ...[1, 0.5, 0.25].map((rate) => make("option", { value: rate, textContent: `${rate} ×` })));
  speed.setAttribute("aria-label", "Speed");
  const bar = make("div", { className: "transport" }, play, back, forth, scrub, clock, speed);
  const real = clip.querySelector("[data-real] video");
  const differ = make("input", { type: "checkbox" });
  const gain = make("select", {}, ...[1, 4, 8].map((times) => make("option", { value: times, textContent: `× ${times}` })));
  gain.value = "4";
  gain.setAttribute("aria-label", "Amplification of the difference");
  if (real) bar.append(make("label", {}, differ, " Difference from the real video "), gain);
  bar.append(share);
  if (videos.length) {
    clip.querySelector(".players").before(bar);
    clip.querySelector(".keys").hidden = false;
  }

  const length = (video) => (Number.isFinite(video.duration) ? video.duration : 0);
  function load() {
    for (const video of videos) {
      if (video.preload === "none") { video.preload = "auto"; video.load(); }
    }
  }
  const marks = all(".track").map((track) => {
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "line");
    mark.setAttribute("class", "now");
    mark.setAttribute("y1", "0");
    mark.setAttribute("y2", "200");
    track.append(mark);
    return mark;
  });
  const place = (time) => Math.min(count - 1, Math.max(0, Math.floor(time / frame + 1e-3)));

  // Differences are drawn without reading pixels, so they work for a page opened from a file.
  const canvases = new Map();
  for (const video of videos) {
    if (!real || video === real) continue;
    const canvas = make("canvas", { hidden: true });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Difference from the real video");
    video.after(canvas);
    canvases.set(video, canvas);
  }
  function drawDifferences() {
    if (!differ.checked || real.readyState < 2) return;
    for (const [video, canvas] of canvases) {
      if (video.readyState < 2) continue;
      if (canvas.width !== video.videoWidth) { canvas.width = video.videoWidth; canvas.height = video.videoHeight; }
      const context = canvas.getContext("2d");
      const { width, height } = canvas;
      context.globalCompositeOperation = "copy";
      context.drawImage(real, 0, 0, width, height);
      context.globalCompositeOperation = "difference";
      context.drawImage(video, 0, 0, width, height);
      // Adding the picture to itself doubles it.
      context.globalCompositeOperation = "lighter";
      for (let times = parseFloat(gain.value); times > 1; times /= 2) context.drawImage(canvas, 0, 0);
    }
  }
  differ.addEventListener("change", () => {
    load();
    for (const canvas of canvases.values()) canvas.hidden = !differ.checked;
    drawDifferences();
  });
  gain.addEventListener("change", drawDifferences);

  function show() {
    const number = place(now);
    if (!dragging) scrub.value = String(now);
    clock.textContent = `${now.toFixed(2)} s, frame ${number} of ${count}`;
    share.href = `#t=${((number + 0.5) * frame).toFixed(3)}`;
    const x = String(count > 1 ? (1000 * number) / (count - 1) : 0);
    for (const mark of marks) { mark.setAttribute("x1", x); mark.setAttribute("x2", x); }
    drawDifferences();
  }
  function seek(time) {
    // The middle of a frame, so that rounding cannot select its neighbour.
    now = (place(time) + 0.5) * frame;
    for (const video of videos) video.currentTime = length(video) ? Math.min(now, length(video) - frame / 2) : now;
    show();
  }
  function stop() {
    playing = false;
    play.textContent = "Play";
    videos.forEach((video) => video.pause());
  }
  function tick() {
    if (!playing) return;
    now = leader.currentTime;
    for (const video of videos) {
      const behind = Math.abs(video.currentTime - now);
      if (video !== leader && behind > 2 * frame && now < length(video)) video.currentTime = now;
    }
    show();
    if (leader.ended) stop();
    else requestAnimationFrame(tick);
  }
  async function toggle() {
    load();
    if (playing) return stop();
    // The longest video leads, so that every video reaches its end.
    leader = videos.reduce((best, video) => (length(video) > length(best) ? video : best), videos[0]);
    if (!leader) return;
    if (leader.ended) seek(0);
    playing = true;
    play.textContent = "Pause";
    await Promise.allSettled(videos.map((video) => { video.playbackRate = parseFloat(speed.value); return video.play(); }));
    tick();
  }
  const step = (frames) => { load(); stop(); seek(now + frames * frame); };

  for (const video of videos) {
    video.controls = false;
    video.muted = video.playsInline = true;
    video.addEventListener("loadedmetadata", () => { if (!playing) video.currentTime = Math.min(now, Math.max(0, length(video) - frame / 2)); });
    for (const event of ["seeked", "loadeddata"]) video.addEventListener(event, show);
  }
  play.addEventListener("click", toggle);
  back.addEventListener("click", () => step(-1));
  forth.addEventListener("click", () => step(1));
  speed.addEventListener("change", () => videos.forEach((video) => { video.playbackRate = parseFloat(speed.value); }));
  scrub.addEventListener("pointerdown", () => { dragging = true; load(); });
  scrub.addEventListener("change", () => { dragging = false; });
  scrub.addEventListener("input", () => { load(); stop(); seek(parseFloat(scrub.value)); });
  for (const track of all(".track")) {
    track.addEventListener("click", (event) => {
      const box = track.getBoundingClientRect();
      load();
      stop();
      seek(Math.round(((event.clientX - box.left) / box.width) * (count - 1)) * frame);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !videos.length) return;
    if (event.target.closest("input[type=range], select, textarea, [role=region]") && event.key !== " ") return;
    if (event.target.closest("button, a, summary, select, input") && event.key === " ") return;
    const second = Math.max(1, Math.round(1 / frame));
    const keys = {
      " ": toggle,
      ArrowLeft: () => step(event.shiftKey ? -second : -1),
      ArrowRight: () => step(event.shiftKey ? second : 1),
      Home: () => step(-count),
      End: () => step(count),
      d: () => real && differ.click(),
    };
    const action = keys[event.key] || keys[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });

  // Legend: a pressed entry stays visible, the others are dimmed.
  const pressed = new Set();
  for (const item of all("[data-legend] li")) {
    const toggleButton = make("button", { type: "button" }, ...item.childNodes);
    toggleButton.setAttribute("aria-pressed", "false");
    item.append(toggleButton);
    toggleButton.addEventListener("click", () => {
      const mark = item.dataset.mark;
      if (!pressed.delete(mark)) pressed.add(mark);
      toggleButton.setAttribute("aria-pressed", String(pressed.has(mark)));
      for (const curve of all(".curve")) {
        curve.classList.toggle("dim", pressed.size > 0 && ![...pressed].some((name) => curve.classList.contains(name)));
      }
    });
  }

  function follow() {
    const match = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (!match) return;
    load();
    stop();
    seek(parseFloat(match[1]));
    if (videos.length) bar.scrollIntoView({ block: "start" });
  }
  addEventListener("hashchange", follow);
  for (const link of all('a[href^="#t="]')) link.addEventListener("click", () => { if (link.hash === location.hash) follow(); });
  show();
  follow();
  // Videos load when they come into view.
  const players = clip.querySelector(".players");
  if (videos.length) {
    const watch = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) { load(); watch.disconnect(); }
    });
    watch.observe(players);
  }
})();
