// Runs before the first paint, so that a stored choice of light never flashes.
{
  const root = document.documentElement;
  root.classList.add("js");
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* storage is blocked */ }
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
}
