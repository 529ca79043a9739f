(() => {
  const svg = document.documentElement, all = [...document.querySelectorAll(".f")];
  const [total, width, margin, character] = ["total", "width", "margin", "character"].map(k => +svg.dataset[k]);
  const by = id => document.getElementById(id), reset = by("reset"), told = by("told"), found = by("found");

  // Show the samples from `start` on, `count` of them, over the whole width.
  function zoom(start, count) {
    const scale = width / count, whole = count === total;
    for (const f of all) {
      const x = +f.dataset.x, w = +f.dataset.w, [rect, text] = [f.children[1], f.children[2]];
      const from = Math.max(x, start), to = Math.min(x + w, start + count), wide = (to - from) * scale;
      f.style.display = wide < 0.2 ? "none" : "";
      f.classList.toggle("above", w > count);
      if (wide < 0.2) continue;
      const left = margin + (from - start) * scale, fits = Math.floor((wide - 6) / character), name = f.dataset.n;
      rect.setAttribute("x", left.toFixed(1));
      rect.setAttribute("width", Math.max(wide - 0.4, 0.1).toFixed(1));
      text.setAttribute("x", (left + 3).toFixed(1));
      text.textContent = name.length <= fits ? name : fits >= 3 ? name.slice(0, fits - 1) + "…" : "";
    }
    reset.classList.toggle("on", !whole);
  }

  // Mark the frames whose name fits, and tell in how many samples one of them takes part.
  function search(pattern) {
    let fits;
    try { fits = new RegExp(pattern, "i"); } catch (error) { found.textContent = "no regular expression: " + pattern; return; }
    const ranges = [];
    for (const f of all) {
      const hit = pattern !== "" && fits.test(f.dataset.n);
      f.classList.toggle("hit", hit);
      if (hit) ranges.push([+f.dataset.x, +f.dataset.x + +f.dataset.w]);
    }
    let samples = 0, reached = 0;
    for (const [from, to] of ranges.sort((a, b) => a[0] - b[0])) {
      samples += Math.max(0, to - Math.max(from, reached));
      reached = Math.max(reached, to);
    }
    found.textContent = pattern === "" ? "" : "/" + pattern + "/ in " + (100 * samples / total).toFixed(2) + "%";
  }

  for (const f of all) {
    f.addEventListener("click", () => zoom(+f.dataset.x, +f.dataset.w));
    f.addEventListener("mouseenter", () => { told.textContent = f.children[0].textContent; });
    f.addEventListener("mouseleave", () => { told.textContent = ""; });
  }
  const ask = () => { const text = prompt("Mark frames (a regular expression)", ""); if (text !== null) search(text); };
  reset.addEventListener("click", () => zoom(0, total));
  by("search").addEventListener("click", ask);
  addEventListener("keydown", event => {
    if (event.key === "Escape") { zoom(0, total); search(""); }
    if (event.key === "/") { event.preventDefault(); ask(); }
  });
})();
