"use strict";
// Episodes as people read them, in a report and on the site: a problem, what was called and
// answered, what it cost. Whatever models, users and files said is put in place as text, never
// as markup.
const corlDrilldown = (() => {
  const PAGE_SIZE = 50;
  const GLYPHS = { correct: "✓", wrong: "✗", no_answer: "–", unparsable: "?", timeout: "◔", error: "!" };

  function node(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  const option = (value, text) => node("option", { value }, text);
  const words = (verdict) => verdict.replace("_", " ");
  const number = (value) => value.toLocaleString("en");
  const seconds = (value) => (value < 0.0995 && value > 0 ? value.toFixed(3) : value < 9.95 ? value.toFixed(1) : value.toFixed(0)) + " s";
  const about = (subject, level) => [subject, level === null ? null : `level ${level}`].filter(Boolean).join(", ");

  // Whether a text, in lower case, has every word that is sought.
  const holds = (text, sought) => sought.toLowerCase().split(/\s+/).filter(Boolean).every((term) => text.includes(term));

  // One sign for the verdicts of a system's episodes on a problem.
  function face(verdicts) {
    const kinds = [...new Set(verdicts)];
    if (verdicts.length === 1) return { kind: kinds[0], glyph: GLYPHS[kinds[0]], text: words(kinds[0]) };
    const right = verdicts.filter((verdict) => verdict === "correct").length;
    return {
      kind: right === verdicts.length ? "correct" : right > 0 ? "mixed" : kinds.length === 1 ? kinds[0] : "wrong",
      glyph: `${right}/${verdicts.length}`,
      text: `${right} of ${verdicts.length} correct`,
    };
  }

  // Statement and gold answer. `shown`: the task may be redistributed; `absent`: what to say of a
  // statement that is not there all the same.
  function problemView({ statement, gold, shown, absent }) {
    return [
      statement !== null ? node("p", { class: "statement" }, statement)
        : node("p", { class: "withheld" }, shown ? absent : "Statement protected (for contests: © MAA), not shown."),
      gold === null ? null : node("p", { class: "gold" }, "Gold answer ", node("code", {}, gold)),
    ].filter(Boolean);
  }

  function episodeView({ title, verdict, record, texts, shown, absent }) {
    const view = node("section", { class: "episode" }, title ? node("h3", {}, title) : null);
    view.append(node("p", { class: "verdict" },
      node("span", { class: `cell ${verdict}`, "aria-hidden": "true" }, GLYPHS[verdict]),
      words(verdict),
      record.answer === null ? null : ", answer ",
      record.answer === null ? null : node("code", {}, record.answer),
      record.detail ? node("span", { class: "quiet" }, ` · ${record.detail}`) : null));
    view.append(node("p", { class: "figures" }, [
      `$${record.cost} list cost`,
      record.over.length ? `above ${record.over.join(", ")}` : null,
      record.latency ? seconds(record.latency) : null,
      record.calls.length === 1 ? "1 call" : `${record.calls.length} calls`,
    ].filter(Boolean).join(" · ")));
    if (record.events) {
      view.append(node("div", { class: "call" },
        node("header", {}, node("strong", {}, "Events")),
        node("ol", { class: "events" }, ...record.events.map((event) => node("li", {}, event)))));
    }
    (record.charges || []).forEach((charge) => {
      view.append(node("div", { class: "call" },
        node("header", {},
          node("strong", {}, charge.what),
          node("span", {}, `$${charge.cost}`),
          node("span", { class: "tag" }, charge.basis),
          charge.unsettled ? node("span", { class: "tag bad" }, `unsettled ≤ $${charge.unsettled}`) : null)));
    });
    record.calls.forEach((call, position) => {
      const withheld = call.status !== "ok" ? "No reply."
        : shown ? absent : "Reply not shown: it may quote the protected statement.";
      view.append(callView(call, position, record.response, texts, withheld));
    });
    if (shown && record.response !== null && !record.calls.some((call) => call.text === record.response)) {
      view.append(node("div", { class: "call" },
        node("header", {}, node("strong", {}, "Text that was graded")),
        node("pre", { tabindex: "0" }, texts[record.response])));
    }
    return view;
  }

  function callView(call, position, graded, texts, withheld) {
    const usage = call.usage;
    const counts = usage && [
      `${number(usage.input)} in` + (usage.cached ? ` (${number(usage.cached)} cached)` : ""),
      `${number(usage.output)} out` + (usage.reasoning ? ` (${number(usage.reasoning)} reasoning)` : ""),
    ].join(", ") + (usage.estimated ? ", estimated" : "");
    const header = node("header", {},
      node("strong", {}, `${position + 1}  ${call.expert}`),
      call.model && call.model !== call.expert ? node("span", {}, call.model) : null,
      call.role ? node("span", { class: "tag" }, call.role) : null,
      call.status === "ok" ? null : node("span", { class: "tag bad" }, words(call.status)),
      call.finish === "length" ? node("span", { class: "tag bad" }, "truncated") : null,
      call.finish === "refusal" ? node("span", { class: "tag bad" }, "refused") : null,
      call.finish === "stop" ? node("span", {}, "finished") : null,
      usage ? node("span", {}, counts) : null,
      node("span", {}, `$${call.cost}`),
      call.basis ? node("span", { class: "tag bad" }, call.basis) : null,
      call.unsettled ? node("span", { class: "tag bad" }, `unsettled ≤ $${call.unsettled}`) : null,
      call.latency ? node("span", {}, seconds(call.latency)) : null,
      call.attempts ? node("span", {}, `${call.attempts} attempts`) : null,
      call.recorded === undefined ? null : node("span", {}, `recorded as ${call.recorded ? "correct" : "wrong"}`),
      call.text !== null && call.text === graded ? node("span", { class: "tag" }, "graded reply") : null);
    return node("div", { class: "call" }, header,
      call.detail ? node("p", { class: "figures" }, call.detail) : null,
      call.text !== null ? node("pre", { tabindex: "0" }, texts[call.text]) : node("p", { class: "withheld" }, withheld));
  }

  // Pages of a list: `turned` is called when the reader asks for another one.
  function makePager(element, turned) {
    const [previous, label, next] = element.children;
    const pager = {
      page: 0,
      // The part of a list that is on the page; the list may have become shorter.
      cut(list) {
        const pages = Math.max(1, Math.ceil(list.length / PAGE_SIZE));
        pager.page = Math.min(pager.page, pages - 1);
        element.hidden = pages < 2;
        previous.disabled = pager.page === 0;
        label.textContent = `Page ${pager.page + 1} of ${pages}`;
        next.disabled = pager.page === pages - 1;
        const from = pager.page * PAGE_SIZE;
        const visible = list.slice(from, from + PAGE_SIZE);
        const counted = list.length === 0 ? "No problem fits"
          : `${number(list.length)} ${list.length === 1 ? "problem" : "problems"}`
            + (pages > 1 ? `, ${from + 1} to ${from + visible.length} shown` : "");
        return { visible, counted: `${counted}.` };
      },
      show(position) { pager.page = Math.floor(position / PAGE_SIZE); },
    };
    for (const [button, step] of [[previous, -1], [next, 1]]) {
      button.addEventListener("click", () => {
        pager.page += step;
        turned();
      });
    }
    return pager;
  }

  return { node, option, words, number, about, holds, face, problemView, episodeView, makePager };
})();
