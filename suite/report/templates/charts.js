// Takes the place of each drawn chart when it comes into sight: the same specification, with hover, zoom and export.
// Whatever fails, the drawing stays.
(() => {
  "use strict";
  const mouse = matchMedia("(hover: hover) and (pointer: fine)").matches;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const options = {
    renderer: "svg",
    actions: { export: { svg: true, png: false }, source: false, compiled: false, editor: false },
    tooltip: { theme: dark ? "dark" : "light" },
  };

  const views = (spec) => spec.vconcat ?? [spec];
  const marks = (spec) => views(spec).flatMap((view) => view.layer ?? [view]);

  function prepared(spec) {
    // Dragging a chart would keep a finger from scrolling the page.
    if (!mouse) delete spec.params;
    // Steps that can be zoomed into need ticks of their own at every distance.
    for (const view of spec.params ? views(spec) : []) {
      if (view.encoding.x.axis.values) {
        delete view.encoding.x.axis.values;
        Object.assign(view.encoding.x.axis, { tickMinStep: 1, tickCount: 6 });
      }
    }
    for (const part of marks(spec)) {
      // A line with a description is the curve of the mode that it names.
      if (part.mark.type === "line" && part.description) {
        for (const point of part.data.values) point.mode = part.description;
        part.mark.point = { opacity: 0, size: 200 };
      }
    }
    return spec;
  }

  async function enliven(box) {
    const drawn = box.querySelector("svg.chart");
    const spec = JSON.parse(box.querySelector("script[type='application/json']").textContent);
    const place = document.createElement("div");
    place.hidden = true;
    box.append(place);
    try {
      await vegaEmbed(place, prepared(spec), options);
    } catch (error) {
      place.remove();
      throw error;
    }
    const live = place.querySelector("svg.marks");
    live.setAttribute("class", "marks chart");
    live.setAttribute("role", "img");
    live.setAttribute("aria-label", drawn.getAttribute("aria-label"));
    // Vega gives roles to the marks and no names; the one picture has a name, and so has its menu.
    live.firstElementChild.setAttribute("aria-hidden", "true");
    place.querySelector("summary").setAttribute("aria-label", `Save the chart: ${live.getAttribute("aria-label")}`.slice(0, 120));
    const width = live.viewBox.baseVal.width;
    live.style.maxWidth = `${width}px`;
    place.style.maxWidth = `calc(${width}px + 2.25rem)`;
    place.hidden = false;
    drawn.remove();
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      seen.unobserve(entry.target);
      enliven(entry.target);
    }
  }, { rootMargin: "200px" });
  for (const box of document.querySelectorAll(".picture:has(> script[type='application/json'])")) seen.observe(box);
})();
