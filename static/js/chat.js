// The chat page. The server sends fragments that htmx swaps in; here is what markup
// cannot do: sending over the socket, keeping what is not acknowledged yet, staying at
// the newest message, copying, and saying how the connection is.
//
// A message is acknowledged when an element with its client id arrives in #messages.
// Until then it is kept in sessionStorage and sent again, with the same client id,
// after every reconnect: the server stores it once.

/* global htmx */

if (!window.htmx) throw new Error("htmx did not load: this page works by posting forms");

const byId = (id) => document.getElementById(id);
const talk = byId("talk");
const scroller = byId("scroller");
const messages = byId("messages");
const composer = byId("composer");
const field = byId("content");
const errorBox = byId("composer-error");
const stopButton = byId("stop");
const newest = byId("newest");
const conversation = talk.dataset.conversation;
const says = (key) => talk.dataset[`says${key[0].toUpperCase()}${key.slice(1)}`];

const ACKNOWLEDGE_WITHIN = 8000;
const POLL_EVERY = 2000;
const BANNER_AFTER = 1200;
const STALE_AFTER = 20000;
const ANSWER_WITHIN = 5000;
const UNAUTHENTICATED = 4401;

const streaming = () => messages.querySelector('[data-status="streaming"]');
const announce = (text) => { byId("status").textContent = text ?? ""; };

// What a page keeps while it is open; storage may be forbidden.
const kept = {
  read(name, otherwise) {
    try { return JSON.parse(sessionStorage.getItem(`${name}:${conversation}`)) ?? otherwise; }
    catch { return otherwise; }
  },
  write(name, value) {
    try { sessionStorage.setItem(`${name}:${conversation}`, JSON.stringify(value)); }
    catch { /* then it lasts as long as the page */ }
  },
};

function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  // Without HTTPS there is no randomUUID, but there is randomness.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- Sending ----

let pending = kept.read("pending", []);

function send(content) {
  const entry = { client_id: newId(), content };
  pending.push(entry);
  kept.write("pending", pending);
  errorBox.replaceChildren();
  showPending();
  deliver(entry);
}

function deliver(entry) {
  if (!isOpen()) return post(entry);
  tell({ type: "message.send", conversation_id: conversation, ...entry });
  setTimeout(() => { if (pending.includes(entry)) post(entry); }, ACKNOWLEDGE_WITHIN);
}

async function post(entry) {
  let answer = await offer(entry);
  if (answer === OTHER && await renew() && pending.includes(entry)) answer = await offer(entry);
  if (answer === AWAY) sayWaiting(entry);
  else if (answer === OTHER) giveBack(entry);
  // A socket that opened meanwhile may have looked before this was stored.
  else if (isOpen()) watch();
}

function offer(entry) {
  const body = new URLSearchParams({ content: entry.content, client_id: entry.client_id });
  return fetchAndSwap(talk.dataset.send, { method: "POST", body });
}

const waiting = new Set();

function sayWaiting(entry) {
  waiting.add(entry);
  bubbleOf(entry)?.querySelector(".message-state").replaceChildren(says("waiting"));
}

/** Say that a message was not sent; `takeBack` then puts it into the composer. */
function giveBack(entry) {
  if (!pending.includes(entry)) return;
  const sentence = document.createElement("p");
  sentence.dataset.clientId = entry.client_id;
  sentence.textContent = says("unsent");
  errorBox.replaceChildren(sentence);
}

/** Take over the form's token and the messages of the page as the server has it now:
    signing in elsewhere changes the one, and what was answered by an error may be among
    the others. False where the page cannot be had. */
async function renew() {
  try {
    const response = await fetch(location.pathname);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const token = page.querySelector("#talk [name=csrfmiddlewaretoken]")?.value;
    if (!token) return false;
    for (const input of document.querySelectorAll("[name=csrfmiddlewaretoken]")) input.value = token;
    talk.setAttribute("hx-headers:inherited", JSON.stringify({ "X-CSRFToken": token }));
    if (isOpen()) { watch(); return true; }
    const fragment = document.createDocumentFragment();
    fragment.append(...page.querySelectorAll("#messages > .message"));
    decorate(fragment);
    place(fragment, { isWhole: true, isLive: false });
    acknowledge();
    return true;
  } catch {
    return false;
  }
}

// What became of asking for fragments: they are shown, the server cannot be reached, or
// it answered with something else, a page of its own for an error mostly.
const SHOWN = "shown";
const AWAY = "away";
const OTHER = "other";

const isFragment = (response, text) =>
  response.ok ? !/^\s*<!doctype/i.test(text) : text.startsWith("<hx-partial");

/** Ask for fragments and swap them in; return what became of it. */
async function fetchAndSwap(url, options = {}, swap = "none", target = "#composer-error") {
  const headers = { "HX-Request": "true" };
  if (options.method) headers["X-CSRFToken"] = talk.querySelector("[name=csrfmiddlewaretoken]").value;
  try {
    const response = await fetch(url, { ...options, headers });
    const elsewhere = response.headers.get("HX-Redirect");
    if (elsewhere) { location.href = elsewhere; return SHOWN; }
    if (response.status >= 502) return AWAY;
    const text = await response.text();
    if (!isFragment(response, text)) return OTHER;
    await htmx.swap({ sourceElement: talk, target, swap, text });
    return SHOWN;
  } catch {
    return AWAY;
  }
}

const bubbleOf = (entry) => messages.querySelector(`.pending[data-client-id="${CSS.escape(entry.client_id)}"]`);

function showPending() {
  for (const entry of pending) {
    if (bubbleOf(entry)) continue;
    const bubble = byId("pending-template").content.firstElementChild.cloneNode(true);
    bubble.dataset.clientId = entry.client_id;
    bubble.querySelector(".bubble").textContent = entry.content;
    messages.append(bubble);
  }
}

function acknowledge() {
  const isStored = ({ client_id }) =>
    messages.querySelector(`[data-client-id="${CSS.escape(client_id)}"]:not(.pending)`);
  const left = pending.filter((entry) => !isStored(entry));
  if (left.length === pending.length) return;
  for (const entry of pending) if (!left.includes(entry)) bubbleOf(entry)?.remove();
  pending = left;
  kept.write("pending", pending);
}

/** Put what was refused back into the composer. */
function takeBack() {
  const id = errorBox.querySelector("[data-client-id]")?.dataset.clientId;
  const entry = pending.find(({ client_id }) => client_id === id);
  if (!entry) return;
  bubbleOf(entry)?.remove();
  pending = pending.filter((other) => other !== entry);
  kept.write("pending", pending);
  field.value = field.value ? `${entry.content}\n${field.value}` : entry.content;
  fit();
  field.focus();
}

// ---- The connection ----

let socket = null;
let failures = 0;
let isPolling = false;
let isCaughtUp = false;
let bannerTimer = null;
let answerTimer = null;
let heardAt = 0;

const isOpen = () => socket?.readyState === WebSocket.OPEN;
const tell = (frame) => socket.send(JSON.stringify(frame));

function connected(opened) {
  if (opened === socket) return;
  socket = opened;
  failures = 0;
  isPolling = isCaughtUp = false;
  clearTimeout(bannerTimer);
  byId("connection").hidden = true;
  watch();
}

/** Ask for the state of the conversation and for everything from there on. */
function watch() {
  heardAt = Date.now();
  tell({ type: "watch", conversation_id: conversation });
  clearTimeout(answerTimer);
  answerTimer = setTimeout(reconnect, ANSWER_WITHIN);
}

function disconnected(code) {
  socket = null;
  clearTimeout(answerTimer);
  // Signed out: the page itself says where to sign in.
  if (code === UNAUTHENTICATED) return location.reload();
  failures += 1;
  if (isPolling) return;
  pending.forEach(sayWaiting);
  clearTimeout(bannerTimer);
  bannerTimer = setTimeout(() => { byId("connection").hidden = isOpen() || isPolling; }, BANNER_AFTER);
  if (failures >= 3) probe();
}

/** Find out whether only the socket is missing: then replies are polled for. */
async function probe() {
  try {
    const response = await fetch(location.pathname, { method: "HEAD", redirect: "manual" });
    if (response.type === "opaqueredirect" || response.status === 404) location.reload();
    else if (response.ok && !isOpen()) {
      isPolling = true;
      byId("connection").hidden = true;
      pending.forEach(post);
    }
  } catch { /* the server is away: the banner says so */ }
}

/** Begin anew where a connection looks open and is not, as after a phone's sleep. */
function reconnect() {
  socket = null;
  const text = '<div id="socket" hx-ws:connect="/ws/pages/" hidden></div>';
  htmx.swap({ sourceElement: talk, target: "#socket", swap: "outerHTML", text });
}

async function poll() {
  if (isOpen() && streaming() && Date.now() - heardAt > STALE_AFTER) return watch();
  if (isOpen() || (failures < 2 && !isPolling)) return;
  // No socket will open to send these again.
  if (isPolling) for (const entry of pending) if (waiting.delete(entry)) post(entry);
  for (const reply of messages.querySelectorAll("[data-poll]")) {
    await fetchAndSwap(reply.dataset.poll, {}, "outerHTML", `#${reply.id}`);
  }
}

let hiddenAt = 0;

function returned() {
  if (document.hidden) { hiddenAt = Date.now(); return; }
  document.title = document.title.replace(/^● /, "");
  if (isOpen() && Date.now() - hiddenAt > STALE_AFTER) watch();
}

// ---- What comes ----

/** Place the messages of a fragment, each once, and leave alone what has not changed. */
function place(fragment, { isWhole, isLive }) {
  const incoming = [...fragment.children];
  if (isWhole) {
    // Keep what was loaded above the first message that came.
    const ids = new Set(incoming.map(({ id }) => id));
    const first = incoming.length ? byId(incoming[0].id) : null;
    let isAbove = Boolean(first);
    for (const shown of [...messages.children]) {
      if (shown === first) isAbove = false;
      if (!isAbove && !ids.has(shown.id) && !shown.classList.contains("pending")) shown.remove();
    }
  }
  for (const message of incoming) {
    const shown = byId(message.id);
    if (shown && !isChanged(shown, message, { isWhole, isLive })) continue;
    if (shown) shown.replaceWith(message);
    else {
      const other = message.dataset.parentId && messages.querySelector(
        `[data-parent-id="${CSS.escape(message.dataset.parentId)}"]`);
      // Written again: the other reply and what followed it are another branch.
      while (other && other.nextElementSibling) other.nextElementSibling.remove();
      other?.remove();
      if (!isWhole) message.classList.add("arriving");
      messages.append(message);
    }
    htmx.process(message);
  }
  for (const bubble of messages.querySelectorAll(".pending")) messages.append(bubble);
}

function isChanged(shown, message, { isWhole, isLive }) {
  if (message.dataset.role !== "assistant") return false;
  const isWriting = message.dataset.status === "streaming";
  // After the whole comes every word again; otherwise what is being written stays.
  if (isWriting && shown.dataset.status === "streaming") return isWhole;
  // The answer to a post may be older than what the socket has shown meanwhile.
  if (!isWhole && (isLive || (isWriting && isOpen()))) return false;
  return message.dataset.status !== shown.dataset.status;
}

function beforeSwap({ detail: { ctx, tasks } }) {
  const isLive = ctx.sourceElement?.id === "socket";
  if (isLive) { clearTimeout(answerTimer); heardAt = Date.now(); }
  for (const task of [...tasks]) {
    decorate(task.fragment);
    const style = task.swapSpec.style;
    if (task.target === messages && (style === "innerHTML" || style === "beforeend")) {
      tasks.splice(tasks.indexOf(task), 1);
      place(task.fragment, { isWhole: style === "innerHTML", isLive });
      if (style === "innerHTML" && isLive) caughtUp();
    } else if (task.target?.id === "earlier") {
      isPrepending = true;
    } else if (task.target?.classList.contains("conversation")) {
      markCurrent(task.fragment);
    }
  }
}

/** The page shows what the server has: whatever is not there was not received. */
function caughtUp() {
  acknowledge();
  showPending();
  if (isCaughtUp) return;
  isCaughtUp = true;
  pending.forEach(deliver);
}

function markCurrent(fragment) {
  for (const link of fragment.querySelectorAll("a")) {
    if (link.getAttribute("href") === location.pathname) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

const statuses = new Map();

/** Say in the status region what became of replies; never their words. */
function sayWhatChanged(isFirstTime) {
  for (const reply of messages.querySelectorAll('[data-role="assistant"]')) {
    const { status } = reply.dataset;
    const before = statuses.get(reply.id);
    statuses.set(reply.id, status);
    if (isFirstTime || before === status) continue;
    if (status === "streaming") announce(says("writing"));
    else if (before === "streaming") {
      announce(says(status));
      if (document.hidden && !document.title.startsWith("●")) document.title = `● ${document.title}`;
    }
  }
  if (!streaming()) stopButton?.removeAttribute("aria-disabled");
}

function changed() {
  acknowledge();
  sayWhatChanged(false);
  keepPlace();
}

// ---- Scrolling ----
// The scroller is reversed: its scrollTop is 0 at the newest message and negative above.

let isAtNewest = true;
let isPrepending = false;
let fromTop = 0;

function scrolled() {
  isAtNewest = scroller.scrollTop > -60;
  fromTop = scroller.scrollHeight + scroller.scrollTop;
  newest.hidden = isAtNewest;
}

function keepPlace() {
  if (isPrepending) isPrepending = false;
  else if (!isAtNewest) scroller.scrollTop = fromTop - scroller.scrollHeight;
  scrolled();
}

function goToNewest() {
  // At once: words that come meanwhile would break off a smooth movement.
  scroller.scrollTop = 0;
  scrolled();
}

// ---- Copying ----

function decorate(root) {
  for (const pre of root.querySelectorAll(":is(.done, .message-text) > pre, :is(.done, .message-text) :is(li, blockquote) > pre")) {
    frame(pre);
  }
  // A fragment of finished blocks has no frame of its own around it.
  if (root instanceof DocumentFragment) for (const pre of root.querySelectorAll(":scope > pre")) frame(pre);
}

function frame(pre) {
  if (pre.parentElement?.classList.contains("code")) return;
  const block = document.createElement("div");
  block.className = "code";
  pre.replaceWith(block);
  pre.tabIndex = 0;
  const button = byId("copy-template").content.firstElementChild.cloneNode(true);
  const language = /language-([\w+#-]+)/.exec(pre.firstElementChild?.className ?? "")?.[1];
  if (language) block.dataset.language = language;
  block.append(pre, button);
}

async function copy(button) {
  const source = button.dataset.copy === "code"
    ? button.parentElement.querySelector("pre")
    : button.closest(".message").querySelector(".message-text");
  await toClipboard(source.innerText.trimEnd());
  button.classList.add("copied");
  announce(says("copied"));
  setTimeout(() => button.classList.remove("copied"), 1800);
}

async function toClipboard(text) {
  try { return await navigator.clipboard.writeText(text); }
  catch { /* without HTTPS, or not allowed: there still is the selection */ }
  const area = document.createElement("textarea");
  area.className = "visually-hidden";
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// ---- Writing and stopping ----

function fit() {
  kept.write("draft", field.value);
  if (CSS.supports("field-sizing", "content")) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

function submit(event) {
  event.preventDefault();
  const content = field.value.trim();
  if (!content) return;
  if (streaming() || pending.length) {
    announce("");
    return announce(says("busy"));
  }
  field.value = "";
  fit();
  goToNewest();
  send(content);
}

function stop() {
  const reply = streaming();
  if (!reply || stopButton.getAttribute("aria-disabled") === "true") return;
  stopButton.setAttribute("aria-disabled", "true");
  const id = reply.id.slice("message-".length);
  if (isOpen()) tell({ type: "message.stop", message_id: id });
  else reply.querySelector(".stop-form")?.requestSubmit();
}

function pressed(event) {
  if (event.isComposing) return;
  if (event.target === field && event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    composer.requestSubmit();
  } else if (event.key === "Escape" && !document.querySelector(":popover-open")) {
    stop();
  }
}

// ---- Beginning ----

document.addEventListener("htmx:before:swap", beforeSwap);
document.addEventListener("htmx:after:ws:connection", ({ detail }) => connected(detail.connection.socket));
document.addEventListener("htmx:ws:close", ({ detail }) => { if (detail.reason !== "removed") disconnected(detail.code); });
document.addEventListener("visibilitychange", returned);
document.addEventListener("keydown", pressed);
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copy]");
  if (button) copy(button);
});
window.addEventListener("online", () => { if (!isOpen() && byId("socket")) reconnect(); });
scroller.addEventListener("scroll", scrolled, { passive: true });
newest.addEventListener("click", () => { goToNewest(); field?.focus({ preventScroll: true }); });
new MutationObserver(changed).observe(messages, { childList: true, subtree: true });
setInterval(poll, POLL_EVERY);

decorate(messages);
sayWhatChanged(true);
acknowledge();
scrolled();

if (composer) {
  composer.addEventListener("submit", submit);
  field.addEventListener("input", fit);
  stopButton.addEventListener("click", stop);
  new MutationObserver(takeBack).observe(errorBox, { childList: true });
  field.value ||= kept.read("draft", "");
  fit();
  if (matchMedia("(hover: hover)").matches) field.focus({ preventScroll: true });
  showPending();
  goToNewest();
}

// The extension may have come too late for htmx's first look at the page, and htmx may
// have connected before this module ran.
if (byId("socket")) htmx.process(byId("socket"));
const early = htmx.ext?.ws?.getRegistry().get("/ws/pages/")?.socket;
if (early?.readyState === WebSocket.OPEN) connected(early);
else if (!byId("socket") || !htmx.ext?.ws) {
  // Somebody else's conversation has no socket.
  isPolling = true;
  pending.forEach(post);
}
talk.dataset.ready = "";
