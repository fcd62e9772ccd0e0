// The buttons below the image, and what its zoom is.

const ICONS = {
  zoomOut: "M5 12h14",
  zoomIn: "M5 12h14M12 5v14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  fullScreen: "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
};

export class Toolbar {
  /** Makes the bar; `actions` has a function for each button. */
  constructor(actions) {
    this.element = document.createElement("div");
    this.element.className = "toolbar";
    this.element.setAttribute("role", "toolbar");
    this.element.setAttribute("aria-label", "View");
    this.#button("Zoom out (-)", ICONS.zoomOut, actions.zoomOut);
    this.zoom = document.createElement("output");
    this.zoom.setAttribute("aria-live", "off");
    this.zoom.title = "Pixels of the screen for each of the result";
    this.element.append(this.zoom);
    this.#button("Zoom in (+)", ICONS.zoomIn, actions.zoomIn);
    this.#button("Show all of it (0)", ICONS.fit, actions.fit);
    this.#button("Show its pixels (1)", undefined, actions.pixels).textContent = "1:1";
    this.fullScreen = this.#button("Full screen (f)", ICONS.fullScreen, actions.fullScreen);
    this.fullScreen.setAttribute("aria-pressed", false);
    this.enable(false);
  }

  setZoom(zoom) {
    const percent = 100 * zoom;
    this.zoom.textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  }

  setFullScreen(on) {
    this.fullScreen.setAttribute("aria-pressed", on);
  }

  enable(on) {
    for (const button of this.element.querySelectorAll("button")) button.disabled = !on;
    if (!on) this.zoom.textContent = "";
  }

  #button(name, icon, action) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = name;
    button.setAttribute("aria-label", name);
    if (icon) button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${icon}"/></svg>`;
    button.addEventListener("click", action);
    this.element.append(button);
    return button;
  }
}
