// Makes or asks a passkey where a page has a form for it, and sends what the authenticator answers with that form. The form
// says by data-passkey which of the two, "create" or "get", and by data-options with what, where bytes are base64url.
const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const named = (list) => list.map((c) => ({ type: c.type, id: toBytes(c.id) }));
const prepared = (o) => ({
  ...o,
  challenge: toBytes(o.challenge),
  ...(o.user && { user: { ...o.user, id: toBytes(o.user.id) } }),
  ...(o.excludeCredentials && { excludeCredentials: named(o.excludeCredentials) }),
  ...(o.allowCredentials && { allowCredentials: named(o.allowCredentials) }),
});

const answer = (credential) => {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature"]) {
    if (credential.response[name]) response[name] = toText(credential.response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: toText(credential.rawId), type: credential.type, response });
};

const troubles = {
  NotAllowedError: "The passkey was not used: the dialog was closed or took too long, or this device has none that fits.",
  InvalidStateError: "This device has a passkey of yours already. Use another device, or another security key.",
  SecurityError: "Passkeys do not work at this address of the portal.",
  NotSupportedError: "This device makes no passkey of a kind that the signer verifies.",
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button");
  const trouble = form.querySelector("[data-trouble]");
  const tell = (text) => { trouble.textContent = text; };
  if (!window.PublicKeyCredential) {
    tell("This browser knows no passkeys, or the portal is not open at https or localhost.");
    continue;
  }
  button.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    tell("");
    try {
      const publicKey = prepared(JSON.parse(form.dataset.options));
      const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
      form.elements.credential.value = answer(credential);
      form.submit();
    } catch (error) {
      button.removeAttribute("aria-disabled");
      tell(troubles[error.name] || "The browser could not use the passkey: " + error.name + ".");
    }
  });
}
