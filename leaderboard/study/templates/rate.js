"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const films = ["left", "right", "reference"].map(at);
  const form = at("answers");
  const store = `talkingpose-study-${data.study}-${data.rater}`;
  const trials = data.trials;
  const answers = new Map();
  let current = 0, watched = false, playing = false, shownAt = 0, spent = 0;

  const restore = () => {
    try {
      const known = new Set(trials.map((t) => t.id));
      for (const one of JSON.parse(localStorage.getItem(store) || "[]")) if (known.has(one.trial)) answers.set(one.trial, one);
    } catch { /* no storage, or another page wrote to it: begin without answers */ }
  };
  const save = () => {
    try { localStorage.setItem(store, JSON.stringify([...answers.values()])); } catch { /* no storage */ }
  };
  const show = (id) => ["intro", "trial", "done"].forEach((name) => { at(name).hidden = name !== id; });

  const trial = () => trials[current];
  const ends = () => {
    const length = Math.min(...films.slice(0, 2).map((film) => film.duration || Infinity));
    return Math.min(trial().start + data.seconds, length) - 0.02;
  };
  const seek = (time) => films.forEach((film) => { film.currentTime = Math.min(time, film.duration || time); });
  const pause = () => {
    playing = false;
    films.forEach((film) => film.pause());
    at("play").textContent = watched ? "Play again" : "Play";
  };
  const play = () => {
    playing = true;
    at("play").textContent = "Pause";
    if (films[0].currentTime < trial().start || films[0].currentTime >= ends()) seek(trial().start);
    films.forEach((film) => { const begun = film.play(); if (begun) begun.catch(() => {}); });
  };
  const follow = () => {
    if (playing && !at("trial").hidden) {
      const time = films[0].currentTime;
      for (const film of films.slice(1)) {
        // More than a frame apart: bring it back to the left video.
        if (Math.abs(film.currentTime - time) > 0.045 && !film.seeking && time < (film.duration || 0)) film.currentTime = time;
      }
      if (time >= ends() || films[0].ended) {
        watched = true;
        update();
        seek(trial().start);
        films.forEach((film) => { const begun = film.play(); if (begun) begun.catch(() => {}); });
      }
    }
    requestAnimationFrame(follow);
  };

  const chosen = () => Object.fromEntries(data.questions.map((q) => {
    const input = form.elements[q.id];
    return [q.id, input.value || null];
  }));
  const complete = () => Object.values(chosen()).every((value) => value !== null);
  const update = () => {
    at("watched").textContent = watched ? "" : "Watch both videos to the end once.";
    const missing = data.questions.filter((q) => chosen()[q.id] === null).length;
    at("next").disabled = !(watched && missing === 0);
    at("next").textContent = current === trials.length - 1 ? "Finish" : "Next pair";
    at("hint").textContent = missing ? `${missing} of ${data.questions.length} questions to answer.` : watched ? "" : "Watch both videos to the end once.";
    at("progress").textContent = `Pair ${current + 1} of ${trials.length}`;
    at("bar").value = answers.size;
    at("back").disabled = current === 0;
  };
  const open = (index) => {
    pause();
    current = index;
    const known = answers.get(trial().id);
    watched = Boolean(known);
    spent = known ? known.seconds : 0;
    shownAt = performance.now();
    at("broken").hidden = true;
    for (const film of films) {
      film.src = trial()[film.id];
      film.load();
      film.onloadedmetadata = () => { film.currentTime = trial().start; };
      film.onerror = () => { at("broken").hidden = false; };
    }
    form.reset();
    if (known && !known.skipped) data.questions.forEach((q) => { form.elements[q.id].value = known[q.id]; });
    show("trial");
    update();
    at("play").focus();
  };
  const record = (answer) => {
    const seconds = Math.round((spent + (performance.now() - shownAt) / 1000) * 10) / 10;
    answers.set(trial().id, { trial: trial().id, ...answer, seconds });
    save();
    const later = trials.findIndex((t, i) => i > current && !answers.has(t.id));
    const open_ = later < 0 ? trials.findIndex((t) => !answers.has(t.id)) : later;
    if (open_ < 0) finish(); else open(open_);
  };
  const finish = () => {
    pause();
    const votes = { schema: "talkingpose.votes/1", study: data.study, rater: data.rater, answers: [...answers.values()] };
    const text = JSON.stringify(votes, null, 1);
    at("text").value = text;
    at("download").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const skipped = [...answers.values()].filter((one) => one.skipped).length;
    at("summary").textContent = `${answers.size - skipped} of ${trials.length} pairs are answered.` + (skipped ? ` ${skipped} were skipped.` : "");
    show("done");
    at("download").focus();
  };

  at("start").addEventListener("click", () => {
    const first = trials.findIndex((t) => !answers.has(t.id));
    if (first < 0) finish(); else open(first);
  });
  at("play").addEventListener("click", () => (playing ? pause() : play()));
  at("back").addEventListener("click", () => { if (current > 0) open(current - 1); });
  at("skip").addEventListener("click", () => record({ skipped: true }));
  at("review").addEventListener("click", () => open(trials.length - 1));
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (watched && complete()) record(chosen());
  });
  document.addEventListener("keydown", (event) => {
    if (at("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const choice = { 1: "left", 2: "tie", 3: "right" }[event.key];
    if (choice) {
      const focused = document.activeElement && document.activeElement.closest("fieldset");
      const open_ = data.questions.find((q) => chosen()[q.id] === null);
      const name = focused ? focused.querySelector("input").name : (open_ || data.questions[data.questions.length - 1]).id;
      form.elements[name].value = choice;
      if (focused) document.activeElement.blur();
      update();
    } else if (event.key === " " && event.target.tagName !== "BUTTON") {
      event.preventDefault();
      if (playing) pause(); else play();
    } else if (event.key === "Enter" && (event.target.tagName !== "BUTTON" || (event.target.id === "play" && !at("next").disabled))) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "Backspace" && current > 0) {
      event.preventDefault();
      open(current - 1);
    }
  });
  restore();
  requestAnimationFrame(follow);
})();
