"use strict";
// Surfaces to turn: every [data-surface] names the JSON that holds their names, grids and heights.
const knotworkSurfaces = (() => {
  const axis = (title) => ({ title: { text: title }, color: "#333333" });
  // the camera stays as it was turned when another surface comes
  const layout = {
    uirevision: "kept",
    margin: { l: 0, r: 0, t: 0, b: 0 },
    paper_bgcolor: "#ffffff",
    scene: { xaxis: axis("x₁"), yaxis: axis("x₂"), zaxis: axis("f"), aspectratio: { x: 1, y: 1, z: 0.7 } },
  };

  function build(host) {
    const found = JSON.parse(document.getElementById(host.dataset.surface).textContent);
    const label = document.createElement("label"), choice = document.createElement("select");
    const place = document.createElement("div");
    label.append("Surface to turn: ", choice);
    choice.append(...found.map(({ name }, k) => new Option(name, k)));
    place.className = "surface";
    place.setAttribute("role", "img");
    host.append(label, place);
    const draw = () => {
      const { name, grid, heights } = found[choice.value];
      place.setAttribute("aria-label", `Surface of ${name} over two inputs`);
      const hovertemplate = "x₁ %{x:.3g}<br>x₂ %{y:.3g}<br>f %{z:.4g}<extra></extra>";
      const trace = { type: "surface", x: grid, y: grid, z: heights, colorscale: "Viridis", hovertemplate };
      Plotly.react(place, [trace], layout, { responsive: true, displaylogo: false });
    };
    choice.addEventListener("change", draw);
    // a browser draws few surfaces at once: those near the screen
    new IntersectionObserver(([seen]) => (seen.isIntersecting ? draw() : Plotly.purge(place)), {
      rootMargin: "200px",
    }).observe(place);
  }

  for (const host of document.querySelectorAll("[data-surface]")) build(host);
})();
