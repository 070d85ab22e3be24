"use strict";
// Timelines as plots to look into: values at the pointer, a part enlarged by dragging. The drawing
// that stands in their place holds the same.
(() => {
  function start() {
    const source = document.getElementById("data");
    if (!source || typeof uPlot === "undefined") return;
    const timelines = JSON.parse(source.textContent);
    const TITLES = { accelerator: "Accelerator memory", host: "Host memory", bus: "PCIe" };
    const HEIGHTS = { accelerator: 260, host: 150, bus: 150 };
    const NAMES = { load: "load", edit: "edit", step_begin: "step", step_end: "end of step" };
    const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const color = (name) => css(name.startsWith("control") ? "--control" : "--swapped");

    function size(value, unit) {
      if (value == null) return "–";
      if (!value) return "0";
      const [scale, word] = Math.abs(value) >= 2 ** 30 ? [2 ** 30, "GiB"]
        : Math.abs(value) >= 2 ** 20 / 10 ? [2 ** 20, "MiB"] : [2 ** 10, "KiB"];
      return `${(value / scale).toLocaleString("en", { maximumFractionDigits: 1 })} ${word}${unit === "B/s" ? "/s" : ""}`;
    }
    function moment(value, axis) {
      if (value == null) return "–";
      if (axis !== "seconds") return `operation ${Math.round(value)}`;
      return Math.abs(value) < 1 ? `${(value * 1000).toFixed(1)} ms` : `${value.toFixed(2)} s`;
    }

    // Behind the lines: where nothing was sampled. Over them: marks, the ceiling, peaks.
    function behind(timeline) {
      return (u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.fillStyle = "rgba(128, 128, 128, .18)";
        for (const [from, to] of timeline.gaps) {
          const left = Math.max(u.valToPos(from, "x", true), bbox.left);
          const right = Math.min(u.valToPos(to, "x", true), bbox.left + bbox.width);
          if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
        }
        ctx.restore();
      };
    }
    function over(timeline, track, shown) {
      return (u) => {
        const { ctx, bbox } = u;
        const ratio = devicePixelRatio || 1;
        const inside = (x) => x >= bbox.left && x <= bbox.left + bbox.width;
        ctx.save();
        ctx.font = `${11 * ratio}px system-ui, sans-serif`;
        ctx.textAlign = "left"; // as the axes have left it, it is another
        ctx.textBaseline = "alphabetic";
        ctx.lineWidth = ratio;
        let ends = [-Infinity, -Infinity];
        for (const mark of [...timeline.marks].sort((one, two) => one.t - two.t)) {
          const x = u.valToPos(mark.t, "x", true);
          if (!inside(x)) continue;
          ctx.strokeStyle = ctx.fillStyle = color(mark.series);
          const swap = mark.kind.startsWith("swap");
          ctx.globalAlpha = swap ? .6 : .9;
          ctx.beginPath();
          if (swap) { // a tick on the edge: out at the top, in at the bottom
            const at = mark.kind === "swap_out" ? bbox.top : bbox.top + bbox.height - 7 * ratio;
            ctx.moveTo(x, at);
            ctx.lineTo(x, at + 7 * ratio);
          } else {
            ctx.setLineDash([4 * ratio, 3 * ratio]);
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
          }
          ctx.stroke();
          ctx.setLineDash([]);
          if (!swap && track === "accelerator") {
            const words = NAMES[mark.kind];
            const width = ctx.measureText(words).width;
            const row = mark.series === "control" ? 1 : 0;
            if (x > ends[row] && x + width + 4 * ratio < bbox.left + bbox.width) {
              ctx.fillText(words, x + 3 * ratio, bbox.top + (18 + 13 * row) * ratio);
              ends[row] = x + width + 10 * ratio;
            }
          }
        }
        ctx.globalAlpha = 1;
        if (track === "accelerator" && timeline.ceiling != null) {
          const y = u.valToPos(timeline.ceiling, "y", true);
          ctx.strokeStyle = ctx.fillStyle = css("--failed");
          ctx.setLineDash([8 * ratio, 4 * ratio]);
          ctx.beginPath();
          ctx.moveTo(bbox.left, y);
          ctx.lineTo(bbox.left + bbox.width, y);
          ctx.stroke();
          ctx.setLineDash([]);
          ctx.fillText(`ceiling ${size(timeline.ceiling, "B")}`, bbox.left + 6 * ratio, y - 4 * ratio);
        }
        for (const peak of timeline.peaks) {
          if (!shown.includes(peak.series)) continue;
          const x = u.valToPos(peak.t, "x", true);
          if (!inside(x)) continue;
          const y = u.valToPos(peak.value, "y", true);
          ctx.fillStyle = color(peak.series);
          ctx.beginPath();
          ctx.arc(x, y, 3.5 * ratio, 0, 2 * Math.PI);
          ctx.fill();
          const width = ctx.measureText(peak.label).width;
          const left = x + width + 8 * ratio > bbox.left + bbox.width;
          ctx.fillText(peak.label, left ? x - width - 7 * ratio : x + 7 * ratio, y - 5 * ratio);
        }
        ctx.restore();
      };
    }

    function plot(timeline, track, series, box, key) {
      const unit = series[0].unit;
      const text = css("--text");
      const grid = { stroke: css("--line"), width: 1 };
      const names = series.map((one) => one.name);
      const top = Math.max(
        ...series.flatMap((one) => one.value),
        track === "accelerator" ? timeline.ceiling || 0 : 0,
        1,
      );
      const times = [
        ...series.flatMap((one) => [one.t[0], one.t[one.t.length - 1]]),
      ];
      const [from, to] = [Math.min(...times), Math.max(...times)];
      const options = {
        title: TITLES[track],
        width: Math.max(box.clientWidth, 200),
        height: HEIGHTS[track],
        cursor: { sync: { key }, drag: { x: true, y: false } },
        scales: {
          x: { time: false, range: (u, min, max) => (min == null ? [from, to] : max > min ? [min, max] : [min - 1, max + 1]) },
          y: { range: [0, top * 1.12] },
        },
        axes: [
          { stroke: text, grid, ticks: grid, values: (u, ticks) => ticks.map((tick) => (timeline.axis === "seconds" ? `${+tick.toPrecision(6)} s` : tick)) },
          { stroke: text, grid, ticks: grid, size: 76, values: (u, ticks) => ticks.map((tick) => size(tick, unit)),
            // Ticks at round numbers of MiB, not of 10^6 bytes.
            incrs: Array.from({ length: 40 }, (_, power) => 2 ** power) },
        ],
        series: [
          { label: timeline.axis === "seconds" ? "time" : "at", value: (u, value) => moment(value, timeline.axis) },
          ...series.map((one) => ({
            label: one.name,
            stroke: color(one.name),
            width: 1.5,
            dash: one.name.includes("to GPU") ? [5, 3] : undefined,
            fill: one.name.startsWith("control") ? undefined : `color-mix(in srgb, ${color(one.name)} 14%, transparent)`,
            paths: uPlot.paths.stepped({ align: 1 }),
            points: { show: false },
            value: (u, value) => size(value, unit),
          })),
        ],
        hooks: { drawClear: [behind(timeline)], draw: [over(timeline, track, names)] },
      };
      const table = uPlot.join(series.map((one) => [one.t, one.value]));
      return new uPlot(options, table, box);
    }

    for (const figure of document.querySelectorAll("figure[data-timeline]")) {
      const timeline = timelines[Number(figure.dataset.timeline)];
      const box = figure.querySelector(".plots");
      let made = [];
      const draw = () => {
        for (const one of made) one.destroy();
        made = Object.keys(TITLES).flatMap((track) => {
          const series = timeline.series.filter((one) => one.track === track && one.t.length);
          return series.length ? [plot(timeline, track, series, box, `timeline-${figure.dataset.timeline}`)] : [];
        });
      };
      box.hidden = false;
      draw();
      if (!made.length) { box.hidden = true; continue; }
      figure.querySelector(".static").classList.add("unseen"); // a screen reader still has it
      const help = document.createElement("p");
      help.textContent = "Drag to enlarge a part, double-click for all of it; a click on a name hides its line.";
      box.append(help);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { draw(); box.append(help); });
      let width = box.clientWidth;
      new ResizeObserver(() => {
        if (box.clientWidth === width || !box.clientWidth) return;
        width = box.clientWidth;
        for (const one of made) one.setSize({ width, height: one.height });
      }).observe(box);
    }
  }

  // A script that another has loaded may come after the event.
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
