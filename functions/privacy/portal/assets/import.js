// Says at once what the store would say after the upload, and that the upload is under way. The form works without it.
const form = document.getElementById("upload");
const file = document.getElementById("file");
const tooLarge = document.getElementById("too-large");
const sending = document.getElementById("sending");

const fits = () => (file.files[0]?.size ?? 0) <= Number(file.dataset.most);

file?.addEventListener("change", () => {
  tooLarge.hidden = fits();
});
form?.addEventListener("submit", (event) => {
  if (!fits()) {
    event.preventDefault();
    tooLarge.hidden = false;
    file.focus();
    return;
  }
  sending.hidden = false;
});
