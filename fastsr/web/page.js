// Photos that are pasted anywhere on the page go where dropped ones go.
document.addEventListener("paste", (event) => {
  const pasted = [...(event.clipboardData?.files ?? [])];
  const input = document.querySelector("#photos input[type=file]");
  if (!pasted.length || !input) return;
  const files = new DataTransfer();
  pasted.forEach((file) => files.items.add(file));
  input.files = files.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});
