// Says that a copy button has copied, in words, and goes back after two seconds.
document.addEventListener("clipboard-copy", (event) => {
  const word = event.target.querySelector("[data-word]");
  if (!word || word.dataset.was) return;
  word.dataset.was = word.textContent;
  word.setAttribute("role", "status");
  word.textContent = event.target.dataset.copied;
  event.target.classList.add("done");
  setTimeout(() => {
    word.textContent = word.dataset.was;
    delete word.dataset.was;
    event.target.classList.remove("done");
  }, 2000);
});
