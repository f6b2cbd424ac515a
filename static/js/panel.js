// The panel: a reply that is being written in the conversation one reads is shown as it
// grows. Everything else there is links and a form.

const POLL_EVERY = 2000;

async function renew(reply) {
  const response = await fetch(reply.dataset.poll, { headers: { "HX-Request": "true" } });
  if (!response.ok || response.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const newer = page.getElementById(reply.id);
  if (newer) reply.replaceWith(newer);
}

async function poll() {
  for (const reply of document.querySelectorAll("[data-poll]")) {
    try { await renew(reply); }
    catch { /* the server is away: it is asked again */ }
  }
}

setInterval(poll, POLL_EVERY);
