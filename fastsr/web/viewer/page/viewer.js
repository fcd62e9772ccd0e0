// <fastsr-viewer view="KEY" before="..." after="..." name="...">: an original and its result, compared at any zoom.
//
// Both sides are tiled images of one OpenSeadragon viewer, at the same place, each clipped at the divider; so they
// cannot get out of step, and only tiles that are seen are asked for. Everything is loaded from where this script lies.

import { Slider } from "./slider.js";
import { Toolbar } from "./toolbar.js";

const base = new URL("..", import.meta.url); // of the routes: files/ and the views lie below it
const LARGEST_PIXEL = 48; // of the screen for one of the result
const KEY_ZOOM = Math.SQRT2; // a key press or a click on + enlarges by so much
const PAN = 0.15; // of what is seen, that an arrow key moves

let library; // OpenSeadragon, once a view needs it

function openSeadragon() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("files/openseadragon.min.js", base);
    script.onload = () => resolve(window.OpenSeadragon);
    script.onerror = () => {
      library = undefined;
      script.remove();
      reject(new Error("The viewer could not be loaded; is the server still running?"));
    };
    document.head.append(script);
  });
  return library;
}

async function described(view) {
  const response = await fetch(new URL(`${view}/view.json`, base));
  if (response.status === 404) throw new Error("This image is no longer kept here; make it again.");
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

function tiles(view, side, size) {
  return {
    width: size.width,
    height: size.height,
    tileSize: size.tile,
    tileOverlap: size.overlap,
    minLevel: 0,
    maxLevel: size.levels - 1,
    hasTransparency: () => size.transparent,
    // the library counts levels from the smallest, the server from the largest
    getTileUrl: (level, column, row) =>
      new URL(`${view}/${side}/${size.levels - 1 - level}/${column}/${row}.png`, base).href,
  };
}

class Viewer extends HTMLElement {
  static observedAttributes = ["view", "before", "after", "name"];

  connectedCallback() {
    if (!this.shadowRoot) this.#build();
    this.#label();
    this.#open();
  }

  disconnectedCallback() {
    this.#close();
  }

  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || !this.shadowRoot || before === after) return;
    if (name === "view") this.#open();
    else this.#label();
  }

  /** Zoom of the result: pixels of the screen for each of its own. */
  get zoom() {
    if (!this.image) return 0;
    const { viewport } = this.image.viewer;
    return this.image.viewportToImageZoom(viewport.getZoom(true)) * window.devicePixelRatio;
  }

  zoomTo(pixels) {
    if (!this.image) return;
    const { viewport } = this.image.viewer;
    viewport.zoomTo(this.image.imageToViewportZoom(pixels / window.devicePixelRatio));
    viewport.applyConstraints();
  }

  zoomBy(factor) {
    if (!this.image) return;
    this.image.viewer.viewport.zoomBy(factor);
    this.image.viewer.viewport.applyConstraints();
  }

  fit() {
    this.image?.viewer.viewport.goHome();
  }

  toggleFullScreen() {
    if (document.fullscreenElement === this) document.exitFullscreen();
    else if (this.requestFullscreen) this.requestFullscreen();
    else this.toggleAttribute("filling"); // phones that keep full screen to videos
  }

  #build() {
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = `
      <link rel="stylesheet">
      <div class="frame" role="group">
        <div class="picture"></div>
        <span class="label before"></span>
        <span class="label after"></span>
        <p class="status" role="status"></p>
      </div>`;
    const style = root.querySelector("link");
    this.styled = new Promise((done) => (style.onload = style.onerror = done)); // without it the frame has no size
    style.href = new URL("files/viewer.css", base);
    this.frame = root.querySelector(".frame");
    this.slider = new Slider(this.frame, () => this.#clip());
    this.toolbar = new Toolbar({
      zoomOut: () => this.zoomBy(1 / KEY_ZOOM),
      zoomIn: () => this.zoomBy(KEY_ZOOM),
      fit: () => this.fit(),
      pixels: () => this.zoomTo(1),
      fullScreen: () => this.toggleFullScreen(),
    });
    root.append(this.toolbar.element);
    this.frame.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("fullscreenchange", () => this.toolbar.setFullScreen(document.fullscreenElement === this));
  }

  #label() {
    const name = this.getAttribute("name") || "image";
    const before = this.getAttribute("before") || "Original";
    const after = this.getAttribute("after") || "Result";
    this.frame.setAttribute("aria-label", `${name}: ${before} on the left, ${after} on the right`);
    this.frame.querySelector(".before").textContent = before;
    this.frame.querySelector(".after").textContent = after;
    this.slider.name(before, after);
  }

  async #open() {
    this.#close();
    const view = this.getAttribute("view");
    if (!view) return;
    const opening = (this.opening = Symbol(view)); // whatever is opened later outdates this
    this.#say("Preparing the view …");
    try {
      const [OpenSeadragon, size] = await Promise.all([openSeadragon(), described(view), this.styled]);
      if (this.opening === opening) this.#show(OpenSeadragon, view, size);
    } catch (error) {
      if (this.opening === opening) this.#say(error.message);
    }
  }

  #close() {
    this.opening = undefined;
    this.osd?.destroy();
    this.osd = this.image = undefined;
    this.slider?.hide();
    this.toolbar?.enable(false);
  }

  #show(OpenSeadragon, view, size) {
    this.frame.style.setProperty("--ratio", `${size.width} / ${size.height}`);
    this.frame.classList.toggle("transparent", size.transparent);
    const gestures = { clickToZoom: false, dblClickToZoom: true, dblClickDragToZoom: false };
    const osd = (this.osd = OpenSeadragon({
      element: this.frame.querySelector(".picture"),
      drawer: "canvas",
      tileSources: [
        { tileSource: tiles(view, "original", size) },
        { tileSource: tiles(view, "result", size) },
      ],
      gestureSettingsMouse: gestures,
      gestureSettingsPen: gestures,
      gestureSettingsTouch: gestures,
      animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.4,
      zoomPerScroll: 1.25,
      maxZoomPixelRatio: LARGEST_PIXEL / window.devicePixelRatio,
      visibilityRatio: 1,
      constrainDuringPan: true,
      smoothTileEdgesMinZoom: Infinity,
      // what shows through must not show the edges of tiles
      subPixelRoundingForTransparency: { "*": OpenSeadragon.SUBPIXEL_ROUNDING_OCCURRENCES.ALWAYS },
      maxImageCacheCount: 80, // tiles of 1 MB
      tileRetryMax: 2,
      tileRetryDelay: 500,
      showNavigationControl: false,
      keyboardNavEnabled: false,
    }));
    osd.canvas.setAttribute("aria-label", "Image; arrow keys move it, + and - zoom, 0 shows all of it, 1 its pixels");
    osd.canvas.setAttribute("role", "application");
    osd.addHandler("open", () => {
      this.sides = [osd.world.getItemAt(0), osd.world.getItemAt(1)];
      this.image = this.sides[1];
      this.image.viewer = osd;
      // down to all of the image or, where it is a small one, to its own size
      const own = this.image.imageToViewportZoom(1 / window.devicePixelRatio);
      osd.viewport.minZoomLevel = Math.min(osd.viewport.getHomeZoom(), own);
      this.#say("");
      this.slider.show(osd.canvas);
      this.toolbar.enable(true);
      this.#follow();
    });
    osd.addHandler("open-failed", () => this.#say("The image could not be shown; reload the page."));
    osd.addHandler("viewport-change", () => this.#follow()); // before it is drawn
    osd.addHandler("animation-finish", () => this.#snap());
  }

  /** After whatever moves the image: divider, sharpness and what the page says of the zoom. */
  #follow() {
    if (!this.image) return;
    this.#clip();
    const zoom = this.zoom;
    const sharp = zoom > 1.99 || Math.abs(zoom - 1) < 1e-3; // pixels as they are, once each is one of the screen or more
    if (sharp !== this.sharp) {
      this.sharp = sharp;
      this.osd.drawer.setImageSmoothingEnabled(!sharp);
    }
    this.toolbar.setZoom(zoom);
    // where all of the image is seen, a finger that moves up or down scrolls the page
    const all = this.osd.viewport.getZoom(true) <= this.osd.viewport.getHomeZoom() * 1.01;
    this.osd.canvas.style.touchAction = all && !this.matches(":fullscreen, [filling]") ? "pan-y" : "none";
  }

  /** At one to one, pixels of the result lie on those of the screen. */
  #snap() {
    if (!this.image || Math.abs(this.zoom - 1) > 1e-3) return;
    const { viewport } = this.osd;
    const corner = viewport.getBounds(true).getTopLeft();
    const pixel = this.image.viewportToImageCoordinates(corner, true);
    const whole = this.image.imageToViewportCoordinates(Math.round(pixel.x), Math.round(pixel.y), true);
    const by = whole.minus(corner);
    if (Math.max(Math.abs(by.x), Math.abs(by.y)) > 1e-9) viewport.panBy(by, true);
  }

  #clip() {
    if (!this.image) return;
    const { Point, Rect } = window.OpenSeadragon;
    const { x: width, y: height } = this.image.getContentSize();
    const pixel = new Point(this.slider.share * this.frame.clientWidth, 0);
    const at = this.image.viewportToImageCoordinates(this.osd.viewport.viewerElementToViewportCoordinates(pixel), true);
    const divider = Math.min(Math.max(at.x, 0), width);
    this.sides[0].setClip(new Rect(0, 0, divider, height));
    this.sides[1].setClip(new Rect(divider, 0, width - divider, height));
  }

  #key(event) {
    if (!this.image || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [-PAN, 0], ArrowRight: [PAN, 0], ArrowUp: [0, -PAN], ArrowDown: [0, PAN] };
    const keys = {
      "+": () => this.zoomBy(KEY_ZOOM),
      "=": () => this.zoomBy(KEY_ZOOM),
      "-": () => this.zoomBy(1 / KEY_ZOOM),
      _: () => this.zoomBy(1 / KEY_ZOOM),
      0: () => this.fit(),
      1: () => this.zoomTo(1),
      f: () => this.toggleFullScreen(),
      Escape: this.hasAttribute("filling") ? () => this.removeAttribute("filling") : undefined,
    };
    if (keys[event.key]) keys[event.key]();
    else if (event.key in moves) this.#pan(...moves[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #pan(across, down) {
    const { viewport } = this.osd;
    const seen = viewport.getBounds(true);
    viewport.panBy(new window.OpenSeadragon.Point(across * seen.width, down * seen.height));
    viewport.applyConstraints();
  }

  #say(text) {
    this.frame.querySelector(".status").textContent = text;
  }
}

customElements.define("fastsr-viewer", Viewer);
