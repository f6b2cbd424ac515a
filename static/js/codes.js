// Copies the recovery codes, one a line, and says so on the button.

const button = document.getElementById("copy_codes");

button?.addEventListener("click", async () => {
  const codes = document.querySelectorAll("#recovery_codes li");
  const text = Array.from(codes, (code) => code.textContent).join("\n");
  await navigator.clipboard.writeText(text);
  const label = button.querySelector("[data-copied]");
  label.textContent = label.dataset.copied;
});

// A page that is not served over HTTPS may not write there.
if (button && !navigator.clipboard) button.hidden = true;
