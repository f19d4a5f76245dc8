// The review page's keys and focus. No key ever sends a form.
(() => {
  "use strict";
  const ANSWERS = { a: "approve", e: "edit", r: "reject", q: "ask", x: "escalate", g: "give" };

  function openAnswer(name) {
    const answer = document.querySelector(`details[data-answer="${name}"]`);
    if (!answer) return false;
    answer.open = true;
    const field = answer.querySelector("select, textarea, input:not([type=hidden])");
    (field || answer.querySelector("summary")).focus();
    answer.scrollIntoView({ block: "nearest" });
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
    return Boolean(target.closest("input, textarea, select, [contenteditable]"));
  }

  document.addEventListener("DOMContentLoaded", () => {
    const page = document.querySelector("[data-review]");
    const help = document.querySelector("dialog[data-help]");
    if (!page) return;

    const problem = page.querySelector("[data-problem]");
    if (problem) problem.focus();

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
      } else if (event.key === "?" && help) {
        help.showModal();
        done = true;
      }
      if (done) event.preventDefault();
    });

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
