// <fastsr-live key="..." token="..." models="...">: the camera, enlarged while one looks. One frame is on its way at a
// time: the next is taken when the last has come back, so nothing piles up where the machine does not keep up.

const WIDTHS = [160, 240, 320, 480, 640]; // pixels of the camera's frames that are sent
const RATE_FRAMES = 20; // that the frame rate is told from
const BUSY_PAUSE = 500; // milliseconds

class Live extends HTMLElement {
  connectedCallback() {
    if (this.querySelector("video")) return;
    const options = (values, chosen) =>
      values.map((value) => `<option${String(value) === chosen ? " selected" : ""}>${value}</option>`).join("");
    const models = (this.getAttribute("models") ?? "").split(" ");
    this.innerHTML = `
      <p class="controls">
        <button type="button" class="primary lg">Start the camera</button>
        <label>Model <select class="model">${options(models, models[0])}</select></label>
        <label>Width <select class="width">${options(WIDTHS, "320")}</select></label>
      </p>
      <p role="status">The camera's picture goes to the server of this page and back, and is kept nowhere.</p>
      <div class="pair">
        <figure><video playsinline muted></video><figcaption>camera</figcaption></figure>
        <figure><canvas></canvas><figcaption>enlarged</figcaption></figure>
      </div>`;
    this.button = this.querySelector("button");
    this.button.addEventListener("click", () => (this.stream ? this.stop() : this.start()));
  }

  disconnectedCallback() {
    this.stop();
  }

  say(text) {
    const status = this.querySelector("[role=status]");
    if (status) status.textContent = text;
  }

  async start() {
    if (!navigator.mediaDevices) {
      this.say("Browsers give the camera to pages of this machine or over https alone.");
      return;
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: true });
    } catch (error) {
      this.say(`There is no camera for this page (${error.message}).`);
      return;
    }
    this.button.textContent = "Stop the camera";
    const video = this.querySelector("video");
    video.srcObject = this.stream;
    await video.play();
    this.run(this.stream).catch((error) => {
      this.stop();
      this.say(error.message);
    });
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = undefined;
    if (this.button) this.button.textContent = "Start the camera";
  }

  async run(stream) {
    const video = this.querySelector("video");
    const sent = document.createElement("canvas");
    const times = [];
    while (this.stream === stream) {
      const model = this.querySelector(".model").value;
      sent.width = Number(this.querySelector(".width").value);
      sent.height = Math.max(1, Math.round((sent.width * video.videoHeight) / video.videoWidth));
      sent.getContext("2d").drawImage(video, 0, 0, sent.width, sent.height);
      const frame = await new Promise((resolve) => sent.toBlob(resolve, "image/jpeg", 0.9));
      const path = `live/${this.getAttribute("token")}/${this.getAttribute("key")}`;
      const response = await fetch(`${path}?model=${model}`, { method: "POST", body: frame });
      if (response.status === 503) {
        this.say("The server is busy with something else …");
        await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE));
        continue;
      }
      if (!response.ok) throw new Error(await response.text());
      const made = await createImageBitmap(await response.blob());
      const canvas = this.querySelector("canvas");
      if (!canvas) return;
      canvas.width = made.width;
      canvas.height = made.height;
      canvas.getContext("2d").drawImage(made, 0, 0);
      times.push(performance.now());
      if (times.length > RATE_FRAMES) times.shift();
      const rate = times.length > 1 ? (1000 * (times.length - 1)) / (times.at(-1) - times[0]) : 0;
      const sizes = `${sent.width} x ${sent.height} to ${made.width} x ${made.height}`;
      this.say(`${rate.toFixed(1)} frames a second, ${sizes} pixels by ${model}`);
    }
  }
}

customElements.define("fastsr-live", Live);
