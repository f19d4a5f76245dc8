// Notes how long the page was visible and which evidence was on the screen, for the decision that
// is sent from it. Nothing waits for it: without this script nothing is noted.
(() => {
  "use strict";
  const LONG_ENOUGH = 1000; // milliseconds; what only scrolls by was not looked at

  document.addEventListener("DOMContentLoaded", () => {
    let counted = 0;
    let since = null;
    const opened = new Set();

    function count() {
      const now = performance.now();
      if (since !== null) counted += now - since;
      since = document.hidden ? null : now;
    }

    const sources = [...document.querySelectorAll("[data-source]")];
    const waiting = new Map();
    const onScreen = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          clearTimeout(waiting.get(target));
          if (!isIntersecting || document.hidden) continue;
          const digest = target.closest("[data-source]").dataset.source;
          waiting.set(target, setTimeout(() => opened.add(digest), LONG_ENOUGH));
        }
      },
      { threshold: 1 },
    );

    function watch() {
      onScreen.disconnect();
      for (const timer of waiting.values()) clearTimeout(timer);
      // the heading of a source: the rest may be longer than the screen is high
      if (!document.hidden) for (const one of sources) onScreen.observe(one.querySelector("header"));
    }

    function look() {
      count();
      watch();
    }
    look();
    document.addEventListener("visibilitychange", look);

    document.addEventListener("submit", (event) => {
      const { visible_seconds: seconds, evidence_opened: digests } = event.target.elements;
      if (!seconds || !digests) return;
      count();
      seconds.value = Math.floor(counted / 1000);
      // a form that came back unfinished brings what was opened before
      digests.value = [...new Set([...digests.value.split(","), ...opened])].filter(Boolean).join();
    });
  });
})();
