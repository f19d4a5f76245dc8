// The review page's keys and focus. No key ever sends a form.
(() => {
  "use strict";
  const ANSWERS = { a: "approve", e: "edit", r: "reject", q: "ask", x: "escalate", c: "give", n: "note" };

  function openAnswer(name) {
    const answer = document.querySelector(`details[data-answer="${name}"]`);
    if (!answer) return false;
    answer.open = true;
    answer.scrollIntoView({ block: "nearest" });
    // nobody approves without these ticks, which stand beside the facts: one after the other
    const tick = name === "approve" && document.querySelector("input[name=confirmed]:not(:checked)");
    const field = tick || answer.querySelector("select, textarea, input:not([type=hidden])");
    (field || answer.querySelector("button[type=submit]") || answer.querySelector("summary")).focus();
    return true;
  }

  function openEvidence() {
    const heading = document.getElementById("evidence");
    if (!heading) return false;
    heading.tabIndex = -1;
    heading.focus();
    heading.scrollIntoView({ block: "start" });
    return true;
  }

  function isTyping(target) {
    return Boolean(target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]"));
  }

  document.addEventListener("DOMContentLoaded", () => {
    const page = document.querySelector("[data-review]");
    const help = document.querySelector("dialog[data-help]");
    if (!page) return;

    // A page that was fetched before it was opened may be some minutes old.
    const [visit] = performance.getEntriesByType("navigation");
    if (visit && visit.deliveryType === "navigational-prefetch") {
      fetch(page.dataset.stateUrl, { headers: { Accept: "application/json" } })
        .then((answer) => answer.json())
        .then(({ state, version }) => {
          const isSame = state === page.dataset.state && String(version) === page.dataset.version;
          if (!isSame) window.location.reload();
        })
        .catch(() => {});
    }

    // the list opens a case with one of its forms open: its address ends in the form's name
    const asked = window.location.hash.slice(1);
    if (Object.values(ANSWERS).includes(asked)) openAnswer(asked);
    const problem = page.querySelector("[data-problem]");
    if (problem && !page.querySelector(".has-error")) problem.focus();

    // What would come of an edit is read first; once something is changed it speaks of nothing any
    // more, and the button says that the next step is to look again. The service holds both to it.
    const foreseen = page.querySelector("[data-foreseen]");
    if (foreseen) {
      const form = foreseen.closest("form");
      if (!page.querySelector(".has-error")) {
        foreseen.focus({ preventScroll: true });
        form.querySelector("button[type=submit]").scrollIntoView({ block: "nearest" });
        if (foreseen.offsetHeight > window.innerHeight * 0.8) foreseen.scrollIntoView();
      }
      form.addEventListener("input", ({ target }) => {
        if (!target.name.startsWith("param-")) return;
        const button = form.querySelector("button[type=submit]");
        button.textContent = button.dataset.changed;
        foreseen.hidden = true;
      });
    }

    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (event.key === "Escape" && isTyping(event.target)) {
        event.target.blur();
        return;
      }
      if (isTyping(event.target) || (help && help.open)) return;
      let done = false;
      if (event.key in ANSWERS) done = openAnswer(ANSWERS[event.key]);
      else if (event.key === "o") done = openEvidence();
      else if (event.key === "j" && page.dataset.next) {
        window.location.assign(page.dataset.next);
        done = true;
      } else if (event.key === "k") {
        window.location.assign(page.dataset.inbox);
        done = true;
      }
      if (done) event.preventDefault();
    });

    // Parts that are read when they are wanted; without this script each is a page of its own.
    async function part(address) {
      const answer = await fetch(address, { headers: { "X-Requested-With": "fetch" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const holder = document.createElement("template");
      holder.innerHTML = await answer.text();
      return holder.content;
    }
    for (const fold of page.querySelectorAll("details[data-load]")) {
      fold.addEventListener("toggle", async () => {
        if (!fold.open || fold.dataset.loaded) return;
        fold.dataset.loaded = "yes";
        try {
          const found = await part(fold.dataset.load);
          for (const old of [...fold.children].slice(1)) old.remove();
          fold.append(found);
        } catch {
          delete fold.dataset.loaded; // the link inside still leads there
        }
      });
    }
    const live = page.querySelector("[data-look]");
    if (live) {
      part(live.dataset.look).then((found) => {
        live.replaceChildren(found);
        const state = live.querySelector("[data-found]").dataset.found;
        // what the target would refuse is not offered; the page is read again, on record, for that
        const approve = page.querySelector("details[data-answer=approve]");
        if (approve && state === "refused") {
          approve.hidden = true;
          const why = document.createElement("p");
          why.className = "cs-refusal";
          why.textContent = live.textContent.trim();
          approve.before(why);
        }
      }).catch(() => {});
    }

    // A second click would only be told that the first one counts; spare people that.
    for (const form of page.querySelectorAll("form[data-once]")) {
      form.addEventListener("submit", (event) => {
        if (form.dataset.sent) {
          event.preventDefault();
          return;
        }
        form.dataset.sent = "yes";
        const button = form.querySelector("button[type=submit]");
        if (button) button.setAttribute("aria-disabled", "true");
      });
    }
    window.addEventListener("pageshow", () => {
      for (const form of page.querySelectorAll("form[data-once]")) delete form.dataset.sent;
    });
  });
})();
