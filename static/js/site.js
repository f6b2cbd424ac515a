// What every page shares: the choice of light, in the cookie the server reads.

const root = document.documentElement;
const choices = document.querySelectorAll('button[name="theme"]');

function show() {
  const current = root.dataset.theme ?? "auto";
  for (const choice of choices) {
    choice.setAttribute("aria-pressed", String(choice.value === current));
  }
}

for (const choice of choices) {
  choice.addEventListener("click", (event) => {
    event.preventDefault();
    if (choice.value === "auto") delete root.dataset.theme;
    else root.dataset.theme = choice.value;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${choice.value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    show();
  });
}

// On a phone the list of settings is wider than the screen.
document.querySelector(".settings-nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
