// What every page shares: the choice of light.

const root = document.documentElement;
const choices = document.querySelectorAll("[data-choose-theme]");

function show() {
  const current = root.dataset.theme ?? "auto";
  for (const choice of choices) {
    choice.setAttribute("aria-pressed", String(choice.dataset.chooseTheme === current));
  }
}

for (const choice of choices) {
  choice.addEventListener("click", () => {
    const theme = choice.dataset.chooseTheme;
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (theme === "auto") localStorage.removeItem("theme");
      else localStorage.setItem("theme", theme);
    } catch { /* then it lasts as long as the page */ }
    show();
  });
}

show();
