// The divider between the two sides: dragged by mouse, pen or finger, or moved by keys.

const STEP = 0.02; // of the width, by an arrow key; with Shift or Page up and down five times as much

export class Slider {
  /** Adds the divider to a frame; `moved` is called whenever it was moved. */
  constructor(frame, moved) {
    this.frame = frame;
    this.moved = moved;
    this.share = 0.5; // of the frame's width that lies left of it
    this.element = document.createElement("div");
    this.element.className = "divider";
    this.element.hidden = true;
    this.element.tabIndex = 0;
    this.element.innerHTML = `
      <span class="line"></span>
      <svg class="knob" viewBox="0 0 40 40" aria-hidden="true">
        <circle cx="20" cy="20" r="17"/><path d="M15 13l-7 7 7 7M25 13l7 7-7 7"/>
      </svg>`;
    for (const [name, value] of [
      ["role", "slider"],
      ["aria-orientation", "horizontal"],
      ["aria-valuemin", 0],
      ["aria-valuemax", 100],
    ]) {
      this.element.setAttribute(name, value);
    }
    frame.append(this.element);
    this.element.addEventListener("pointerdown", (event) => this.#grab(event));
    this.element.addEventListener("pointermove", (event) => this.#drag(event));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("wheel", (event) => this.#passOn(event), { passive: false });
    this.#place();
  }

  /** Names both sides, for people who hear the page. */
  name(before, after) {
    this.sides = [before, after];
    this.element.setAttribute("aria-label", `Divider between ${before} and ${after}`);
    this.#place();
  }

  /** Shows the divider over an image. */
  show(canvas) {
    this.canvas = canvas;
    this.element.hidden = false;
  }

  hide() {
    this.canvas = undefined;
    this.element.hidden = true;
  }

  #grab(event) {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    const { left, width } = this.frame.getBoundingClientRect();
    this.offset = event.clientX - left - this.share * width; // so that it does not jump to where it is grabbed
    this.element.focus({ preventScroll: true });
    event.preventDefault();
  }

  #drag(event) {
    if (!this.element.hasPointerCapture(event.pointerId)) return;
    const { left, width } = this.frame.getBoundingClientRect();
    this.#move((event.clientX - this.offset - left) / width);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 5 * STEP : STEP;
    const to = {
      ArrowLeft: this.share - step,
      ArrowDown: this.share - step,
      ArrowRight: this.share + step,
      ArrowUp: this.share + step,
      PageDown: this.share - 5 * STEP,
      PageUp: this.share + 5 * STEP,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined) return;
    this.#move(to);
    event.preventDefault();
    event.stopPropagation();
  }

  /** The wheel zooms the image below. */
  #passOn(event) {
    event.preventDefault();
    this.canvas?.dispatchEvent(new WheelEvent("wheel", event));
  }

  #move(share) {
    this.share = Math.min(Math.max(share, 0), 1);
    this.#place();
    this.moved();
  }

  #place() {
    this.frame.style.setProperty("--divider", this.share);
    const percent = Math.round(100 * this.share);
    this.element.setAttribute("aria-valuenow", percent);
    if (this.sides) {
      this.element.setAttribute("aria-valuetext", `${percent} % ${this.sides[0]}, ${100 - percent} % ${this.sides[1]}`);
    }
  }
}
