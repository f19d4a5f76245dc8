// The policy editor: line numbers, the way to a problem, words into the editor, progress of a replay.
(() => {
  "use strict";

  function editor(box) {
    const text = box.querySelector("textarea");
    const gutter = box.querySelector("[data-gutter]");
    const marked = new Set([...document.querySelectorAll("[data-mark]")].map((one) => Number(one.dataset.mark)));
    let lines = 0;

    function number() {
      const count = text.value.split("\n").length;
      if (count === lines) return;
      lines = count;
      gutter.replaceChildren();
      for (let line = 1; line <= count; line += 1) {
        const one = document.createElement("span");
        one.textContent = line;
        if (marked.has(line)) one.className = "is-marked";
        gutter.append(one, "\n");
      }
    }
    function follow() { gutter.scrollTop = text.scrollTop; }

    function goTo(line, column) {
      const before = text.value.split("\n").slice(0, line - 1);
      const start = before.reduce((sum, one) => sum + one.length + 1, 0) + Math.max(column - 1, 0);
      text.focus({ preventScroll: true });
      text.setSelectionRange(start, start);
      const height = parseFloat(getComputedStyle(text).lineHeight);
      text.scrollTop = Math.max(0, (line - 6) * height);
      follow();
      box.scrollIntoView({ block: "nearest" });
    }

    let changed = false;
    text.addEventListener("input", () => { changed = true; number(); });
    text.addEventListener("scroll", follow);
    text.form.addEventListener("submit", () => { changed = false; });
    window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
    // A new line begins where the one above began.
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      const start = text.value.lastIndexOf("\n", text.selectionStart - 1) + 1;
      const indent = /^ */.exec(text.value.slice(start, text.selectionStart))[0];
      event.preventDefault();
      text.setRangeText(`\n${indent}`, text.selectionStart, text.selectionEnd, "end");
      text.dispatchEvent(new Event("input"));
      text.blur();
      text.focus();
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("[data-line]");
      if (link) {
        event.preventDefault();
        goTo(Number(link.dataset.line), Number(link.dataset.column) || 1);
      }
      const word = event.target.closest("[data-insert]");
      if (word) {
        text.focus();
        text.setRangeText(word.dataset.insert, text.selectionStart, text.selectionEnd, "end");
        text.dispatchEvent(new Event("input"));
      }
    });
    for (const word of document.querySelectorAll("[data-insert]")) {
      word.classList.add("can-insert");
      word.title = "Put it where the cursor is";
    }
    number();
    if (marked.size) {
      text.scrollTop = Math.max(0, (Math.min(...marked) - 6) * parseFloat(getComputedStyle(text).lineHeight));
      follow();
    }
  }

  function filter(field) {
    const shelves = [...document.querySelectorAll("[data-shelf]")];
    const open = shelves.map((shelf) => shelf.open);
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      shelves.forEach((shelf, index) => {
        let found = 0;
        for (const word of shelf.querySelectorAll("[data-word]")) {
          const fits = word.dataset.word.includes(wanted);
          word.classList.toggle("is-out", !fits);
          found += fits;
        }
        shelf.classList.toggle("is-out", !found);
        shelf.open = wanted ? found > 0 : open[index];
      });
    });
  }

  function progress(box) {
    const bars = document.querySelectorAll("[data-progress] progress, [data-progress-copy] progress");
    const words = box.querySelector("[data-progress-words]");
    box.querySelector("a").hidden = true;
    let failures = 0;
    async function look() {
      try {
        const answer = await fetch(box.dataset.progress, { headers: { Accept: "application/json" } });
        if (!answer.ok) throw new Error(answer.status);
        const now = await answer.json();
        if (now.status === "done" || now.status === "failed") {
          window.location.reload();
          return;
        }
        for (const bar of bars) bar.value = now.percent;
        if (now.total) words.textContent = `${now.done.toLocaleString("en")} of ${now.total.toLocaleString("en")} past requests`;
        failures = 0;
      } catch {
        failures += 1;
        if (failures > 5) {
          box.querySelector("a").hidden = false;
          return;
        }
      }
      setTimeout(look, 1000 * (1 + failures));
    }
    setTimeout(look, 700);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-editor]").forEach(editor);
    document.querySelectorAll("[data-word-filter]").forEach(filter);
    document.querySelectorAll("[data-progress]").forEach(progress);
    const problem = document.querySelector(".policy [data-problem]");
    if (problem) problem.focus();
  });
})();
