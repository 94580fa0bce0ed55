"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const options = { displayModeBar: false, responsive: true };
  // With a viewBox a figure shrinks to the paper instead of being cut by its edge.
  const scalable = (place) => {
    for (const svg of place.querySelectorAll("svg.main-svg")) {
      const width = svg.getAttribute("width"), height = svg.getAttribute("height");
      if (width && height) svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    }
  };
  for (const [id, figure] of Object.entries(figures)) {
    const place = document.getElementById(id);
    Plotly.newPlot(place, figure.data, figure.layout, options).then(() => {
      scalable(place);
      place.on("plotly_afterplot", () => scalable(place));
      place.dataset.drawn = "yes";
    });
  }
})();
