// Runs before the first paint, so that what only scripts can use never flashes.
document.documentElement.classList.add("js");
