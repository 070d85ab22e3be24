"use strict";
// The heat map's filter and its arrow keys. Without this script the table is there all the same.
(() => {
  function start() {
    const table = document.getElementById("map");
    const form = document.querySelector(".filter");
    if (!table || !form) return;
    const fields = ["text", "flavor", "family", "status"].map((id) => document.getElementById(id));
    const [text, flavor, family, status] = fields;
    const count = document.getElementById("count");
    const none = document.getElementById("none");
    const heads = [...table.tHead.rows[0].cells];
    const flavors = heads.slice(1).map((head) => head.textContent);
    const families = [...table.tBodies].map((body) => ({
      body,
      name: body.rows[0].querySelector("b").textContent,
      rows: [...body.rows].slice(1).map((row) => ({
        row,
        words: row.cells[0].textContent.toLowerCase(),
        cells: [...row.cells].slice(1),
      })),
    }));
    const all = table.querySelectorAll("tbody a").length;

    function show() {
      const wanted = text.value.trim().toLowerCase().split(/\s+/);
      const column = flavors.indexOf(flavor.value);
      let shown = 0;
      for (const block of families) {
        const inFamily = !family.value || block.name === family.value;
        const name = block.name.toLowerCase();
        let any = false;
        for (const { row, words, cells } of block.rows) {
          let some = false;
          if (inFamily) {
            cells.forEach((cell, index) => {
              const link = cell.firstElementChild;
              const where = `${flavors[index].toLowerCase()} ${name} ${words}`;
              const fits = (column < 0 || column === index)
                && (!status.value || cell.classList.contains(status.value))
                && wanted.every((word) => where.includes(word));
              cell.classList.toggle("off", !fits);
              if (fits && link) { some = true; shown += 1; }
            });
          }
          row.hidden = !some;
          any = any || some;
        }
        block.body.hidden = !any;
      }
      heads.slice(1).forEach((head, index) => { head.hidden = column >= 0 && index !== column; });
      for (const block of families) {
        for (const { cells } of block.rows) {
          cells.forEach((cell, index) => { cell.hidden = column >= 0 && index !== column; });
        }
      }
      count.textContent = shown === all ? `${all} cases` : `${shown} of ${all} cases`;
      none.hidden = shown > 0;
      reachable();
      remember();
    }

    // What is shown is in the address, so that it can be sent to somebody and Back returns to it.
    function remember() {
      const set = fields.filter((field) => field.value);
      const words = set.map((field) => `${field.id}=${encodeURIComponent(field.value)}`).join("&");
      history.replaceState(null, "", words ? `#${words}` : location.pathname + location.search);
    }

    function recall() {
      for (const part of location.hash.slice(1).split("&")) {
        const [name, value] = part.split("=");
        const field = fields.find((one) => one.id === name);
        try {
          if (field && value) field.value = decodeURIComponent(value);
        } catch {
          // not an address of ours
        }
      }
      if (fields.some((field) => field.value)) show();
    }

    // One cell at a time is in the order of Tab: nobody wants to press it ten thousand times.
    let current = null;
    function reachable() {
      if (current && current.offsetParent && !current.parentElement.classList.contains("off")) return;
      if (current) current.tabIndex = -1;
      current = [...table.querySelectorAll("td:not(.off) a")].find((link) => link.offsetParent) || null;
      if (current) current.tabIndex = 0;
    }
    for (const link of table.querySelectorAll("td a")) link.tabIndex = -1;

    function move(to) {
      current.tabIndex = -1;
      current = to;
      to.tabIndex = 0;
      to.focus();
    }
    const usable = (cell) => cell && !cell.hidden && !cell.classList.contains("off") && cell.querySelector("a");
    function beside(cell, step) {
      let next = cell;
      do { next = step > 0 ? next.nextElementSibling : next.previousElementSibling; } while (next && !usable(next));
      return next && usable(next);
    }
    function below(cell, step) {
      const rows = table.rows;
      const index = cell.cellIndex;
      for (let at = cell.parentElement.rowIndex + step; at > 0 && at < rows.length; at += step) {
        const row = rows[at];
        if (row.hidden || row.parentElement.hidden) continue;
        const found = row.cells.length > index && usable(row.cells[index]);
        if (found) return found;
      }
      return null;
    }
    table.addEventListener("keydown", (event) => {
      const cell = event.target.closest("td");
      if (!cell || event.altKey || event.ctrlKey || event.metaKey) return;
      const row = [...cell.parentElement.cells].map(usable).filter(Boolean);
      const to = {
        ArrowRight: () => beside(cell, 1),
        ArrowLeft: () => beside(cell, -1),
        ArrowDown: () => below(cell, 1),
        ArrowUp: () => below(cell, -1),
        Home: () => row[0],
        End: () => row[row.length - 1],
      }[event.key];
      if (!to) return;
      event.preventDefault();
      const link = to();
      if (link) move(link);
    });
    table.addEventListener("focusin", (event) => {
      if (event.target.matches("td a") && event.target !== current) {
        if (current) current.tabIndex = -1;
        current = event.target;
        current.tabIndex = 0;
      }
    });

    let pending = 0;
    form.addEventListener("input", () => {
      cancelAnimationFrame(pending);
      pending = requestAnimationFrame(show);
    });
    form.addEventListener("reset", () => setTimeout(show));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    document.querySelector(".keys").hidden = false;
    count.textContent = `${all} cases`;
    reachable();
    recall();
  }

  // A script that another has loaded may come after the event.
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
