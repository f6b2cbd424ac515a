// Passkeys: a form with `data-passkey` asks the browser for one before it is sent.
//
// Its value says for what: `create` and `use` take the server's options from the page,
// `sign-in` fetches them when they are needed, so that the page of a stranger keeps
// no state on the server. What can go wrong stands in the form, hidden, in the
// reader's language.

const forms = document.querySelectorAll("form[data-passkey]");
let isAsking = false;

for (const form of forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

async function send(form) {
  if (isAsking) return;
  isAsking = true;
  say(form, null);
  try {
    const credential = await ask(form);
    form.elements.credential.value = JSON.stringify(credential);
    // Without an event, so this does not come back here.
    form.submit();
  } catch (error) {
    say(form, troubleOf(error));
  } finally {
    isAsking = false;
  }
}

async function ask(form) {
  // Old browsers have no such methods, and pages without HTTPS no such class.
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) throw new TypeError();

  if (form.dataset.passkey === "create") {
    const options = forOne(optionsOnPage().creation_options.publicKey, form);
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return await navigator.credentials.create({ publicKey });
  }
  const { request_options } =
    form.dataset.passkey === "sign-in" ? await fetched(form.action) : optionsOnPage();
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(request_options.publicKey);
  return await navigator.credentials.get({ publicKey });
}

// A passkey that replaces the password must be found without an e-mail address and be
// unlocked by its owner; one that comes after the password need not be kept on a key.
function forOne(options, form) {
  const isAlone = form.elements.passwordless.checked;
  options.authenticatorSelection = {
    ...options.authenticatorSelection,
    residentKey: isAlone ? "required" : "discouraged",
    requireResidentKey: isAlone,
    userVerification: isAlone ? "required" : "preferred",
  };
  return options;
}

function optionsOnPage() {
  return JSON.parse(document.getElementById("passkey-options").textContent);
}

async function fetched(address) {
  const response = await fetch(address, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new DOMException("", "NetworkError");
  return await response.json();
}

function troubleOf(error) {
  if (error.name === "InvalidStateError") return "known";
  if (error.name === "NetworkError") return "unreachable";
  if (error.name === "NotAllowedError" || error.name === "AbortError") return "refused";
  return "unsupported";
}

function say(form, trouble) {
  for (const notice of form.querySelectorAll("[data-trouble]")) {
    notice.hidden = notice.dataset.trouble !== trouble;
  }
}
