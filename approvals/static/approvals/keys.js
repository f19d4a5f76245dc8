// The keys every page has, with the same meaning everywhere. A single key moves about and opens
// forms; nothing is sent but by a button, or by Ctrl+Enter inside a form that is open.
(() => {
  "use strict";
  const OPENS = { o: "", a: "approve", e: "edit", r: "reject", q: "ask", x: "escalate", c: "give", n: "note" };
  const AFTER_G = 1500;

  function isTyping(target) {
    // a tick is no text: keys go on after it
    return Boolean(target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]"));
  }

  function currentRow() {
    const row = document.activeElement && document.activeElement.closest("[data-row]");
    return row && row.querySelector("a.cs-row-link");
  }

  function openRow(key) {
    const link = currentRow();
    if (!link) return false;
    window.location.assign(OPENS[key] ? `${link.href}#${OPENS[key]}` : link.href);
    return true;
  }

  function find() {
    const field = document.querySelector("[data-list-search]") || document.querySelector("[data-find]");
    if (!field) return false;
    field.focus();
    field.select();
    return true;
  }

  function toInbox() {
    const link = document.querySelector("[data-inbox]");
    const inbox = link ? link.dataset.inbox : document.body.querySelector("#nav-sidebar a[href*='inbox/']");
    if (!inbox) return false;
    window.location.assign(typeof inbox === "string" ? inbox : inbox.href);
    return true;
  }

  function help() {
    const dialog = document.querySelector("dialog[data-help]");
    if (!dialog || dialog.open) return false;
    dialog.showModal();
    return true;
  }

  // A digit chooses a reason of the form that is open; choosing sends nothing.
  function chooseReason(digit) {
    const reasons = document.querySelector("details[data-answer][open] select[name=reason_code]");
    if (!reasons) return false;
    const choices = [...reasons.options].filter((option) => option.value);
    const chosen = choices[digit - 1];
    if (!chosen) return false;
    reasons.value = chosen.value;
    reasons.dispatchEvent(new Event("change", { bubbles: true }));
    reasons.focus();
    return true;
  }

  function sendOpenForm(target) {
    // a tick stands beside the facts, outside of the form it belongs to
    const own = target.form && target.form.closest("details[open]") ? target.form : null;
    const form = target.closest("details[open] form, form[data-bulk]") || own;
    if (!form) return false;
    form.requestSubmit();
    return true;
  }

  function focusFirstWrong() {
    const wrong = document.querySelector(
      ".has-error :is(select, textarea, input:not([type=hidden])), [aria-invalid=true]",
    );
    const first = wrong || document.querySelector(".cs textarea[autofocus]");
    if (first) first.focus();
  }

  document.addEventListener("DOMContentLoaded", () => {
    focusFirstWrong();
    let afterG = 0;
    document.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || event.repeat) return;
      const { key, target } = event;
      if (key === "Enter" && (event.ctrlKey || event.metaKey)) {
        if (sendOpenForm(target)) event.preventDefault();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const isReason = target.matches && target.matches("select[name=reason_code]");
      if (isTyping(target) && !isReason) return;
      if (document.querySelector("dialog[open]")) return;
      let done = false;
      if (/^[1-9]$/.test(key)) done = chooseReason(Number(key));
      else if (isReason) return;
      else if (key === "i" && Date.now() - afterG < AFTER_G) done = toInbox();
      else if (key === "/") done = find();
      else if (key === "?") done = help();
      else if (key in OPENS) done = openRow(key);
      afterG = key === "g" ? Date.now() : 0;
      if (done) event.preventDefault();
    });
  });
})();
