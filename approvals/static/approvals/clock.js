// Keeps the clocks on the page going. The words are those of approvals/admin/review_context.py.
(() => {
  "use strict";
  const MINUTE = 60000;

  function span(milliseconds) {
    const minutes = Math.floor(milliseconds / MINUTE);
    const days = Math.floor(minutes / 1440);
    const hours = Math.floor((minutes % 1440) / 60);
    if (days >= 2) return `${days} days`;
    if (days) return hours ? `1 day ${hours} h` : "1 day";
    if (hours) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    return minutes ? `${minutes} min` : "under a minute";
  }

  function tick() {
    for (const clock of document.querySelectorAll("time[data-until]")) {
      const left = new Date(clock.dateTime) - Date.now();
      clock.textContent = left > 0 ? `${span(left)} left` : `${span(-left)} over`;
      clock.classList.toggle("is-over", left <= 0);
      clock.classList.toggle("is-soon", left > 0 && left <= 60 * MINUTE);
      clock.classList.toggle("is-calm", left > 60 * MINUTE);
    }
  }

  // Pages tell times in the zone of whoever reads them.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isSecure = window.location.protocol === "https:" ? ";secure" : "";
  if (zone) {
    document.cookie = `countersign_zone=${zone};path=/;max-age=31536000;samesite=lax${isSecure}`;
  }

  document.addEventListener("DOMContentLoaded", () => {
    tick();
    setInterval(tick, 15000);
    for (const form of document.querySelectorAll("form[data-autosubmit]")) {
      form.addEventListener("change", (event) => {
        if (event.target.matches("select")) form.requestSubmit();
      });
    }
    // j and k walk the rows of a list; Enter follows the focused link as it always does.
    const rows = [...document.querySelectorAll("[data-row] a")];
    if (!rows.length) return;
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
      const step = { j: 1, k: -1 }[event.key];
      if (!step) return;
      const now = rows.indexOf(document.activeElement);
      const next = rows[Math.min(Math.max(now + step, 0), rows.length - 1)];
      next.focus();
      event.preventDefault();
    });
  });
})();
