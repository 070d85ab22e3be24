"use strict";
// The button that copies the command; the text can be selected without it.
(() => {
  function start() {
    for (const button of document.querySelectorAll("button[data-copy]")) {
      const source = document.getElementById(button.dataset.copy);
      button.hidden = false;
      button.addEventListener("click", async () => {
        let copied = true;
        try {
          await navigator.clipboard.writeText(source.textContent);
        } catch {
          getSelection().selectAllChildren(source);
          copied = document.execCommand("copy");
        }
        button.textContent = copied ? "Copied" : "Press Ctrl+C";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
    }
  }

  // A script that another has loaded may come after the event.
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
