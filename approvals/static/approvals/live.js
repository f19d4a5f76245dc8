// Follows cases by short polls: their state, the steps of carrying them out, and the time to recall.
(() => {
  "use strict";
  const QUICK = 1000;
  const SLOW = 5000;
  const QUICK_POLLS = 40;
  const INBOX = 10000;

  function showSteps(list, steps) {
    list.replaceChildren(
      ...steps.map(([name, isReached]) => {
        const step = document.createElement("li");
        step.textContent = name;
        step.className = isReached ? "is-reached" : "";
        const hidden = document.createElement("span");
        hidden.className = "cs-hidden";
        hidden.textContent = isReached ? ": yes" : ": not yet";
        step.append(hidden);
        return step;
      }),
    );
  }

  function follow(box) {
    const sentence = box.querySelector("[data-live-sentence]");
    const steps = box.querySelector("[data-live-steps]");
    const recall = box.querySelector("[data-live-recall]");
    const left = box.querySelector("[data-live-left]");
    let polls = 0;

    function show(standing) {
      box.hidden = false;
      // only what changed is written: a screen reader says it once
      if (sentence.textContent !== standing.sentence) sentence.textContent = standing.sentence;
      box.dataset.tone = standing.tone;
      box.dataset.state = standing.state;
      showSteps(steps, standing.steps);
      // what can be done only while it is on its way is not offered after that
      for (const part of document.querySelectorAll("[data-while]")) {
        part.hidden = !part.dataset.while.split(" ").includes(standing.state);
      }
      const seconds = standing.recall_seconds;
      recall.hidden = seconds === null;
      const most = seconds > 90 ? `${Math.ceil(seconds / 60)} min` : `${seconds} s`;
      left.textContent = seconds ? `(${most})` : "";
    }

    async function poll() {
      if (document.hidden) return void setTimeout(poll, SLOW);
      polls += 1;
      try {
        const answer = await fetch(box.dataset.live, { headers: { Accept: "application/json" } });
        if (answer.status === 403 || answer.status === 404 || answer.redirected) return undefined;
        if (answer.ok) {
          const standing = await answer.json();
          show(standing);
          if (standing.is_final) return undefined;
        }
      } catch {
        // the network is away; the next poll may find it again
      }
      return void setTimeout(poll, polls < QUICK_POLLS ? QUICK : SLOW);
    }
    poll();
  }

  // An open list: rows stay where they are. New ones are announced, those that went are marked.
  function followInbox(list) {
    const rows = new Map(
      [...list.querySelectorAll("[data-row]")].map((row) => [row.dataset.row, row]),
    );
    const bar = list.querySelector("[data-new]");
    const said = list.querySelector("[data-said]");
    const tabs = list.querySelector(".cs-tabs");

    function mark(row, name, text) {
      let badge = row.querySelector(`[data-live-mark="${name}"]`);
      if (!text) return void (badge && badge.remove());
      if (!badge) {
        badge = document.createElement("span");
        badge.className = "cs-badge is-info";
        badge.dataset.liveMark = name;
        row.querySelector(".cs-row-meta").append(badge);
      }
      if (badge.textContent !== text) badge.textContent = text;
      return undefined;
    }

    function show(now) {
      const untouched = !tabs.matches(":hover, :focus-within"); // nothing moves under the cursor
      for (const tab of tabs.querySelectorAll("[data-tab]")) {
        const count = tab.querySelector("[data-count]");
        const number = now.counts[tab.dataset.tab];
        if (count && untouched) count.textContent = number >= 1000 ? "1000+" : String(number);
      }
      const gone = new Set(now.gone);
      for (const [id, row] of rows) {
        row.classList.toggle("is-gone", gone.has(id));
        mark(row, "gone", gone.has(id) ? "no longer here" : "");
        const claimed = row.querySelector("[data-claim]");
        if (!claimed) mark(row, "claim", now.claims[id] ? `${now.claims[id]} works on it` : "");
      }
      const fresh = "isPart" in list.dataset ? 0 : now.new;
      const text = fresh ? `${fresh} new` : "";
      bar.hidden = !fresh;
      if (bar.textContent !== text) {
        bar.textContent = text;
        said.textContent = text;
      }
    }

    async function poll() {
      if (!document.hidden) {
        try {
          const ids = [...rows.keys()].join(",");
          const answer = await fetch(`${list.dataset.inboxLive}&ids=${ids}`);
          if (answer.redirected || answer.status === 403) return;
          if (answer.ok) show(await answer.json());
        } catch {
          // the network is away; the next poll may find it again
        }
      }
      setTimeout(poll, INBOX);
    }
    setTimeout(poll, INBOX);
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const list of document.querySelectorAll("[data-inbox-live]")) followInbox(list);
    for (const box of document.querySelectorAll("[data-live]")) follow(box);
  });
})();
