// Keeps an order's page following. The extension connects again after a stream that broke, but not after a first try that
// failed, so this does. A session that ended meanwhile reloads the page, which leads to the sign-in; so does a page whose
// other scripts did not arrive, as it would without any script.
const watched = document.querySelector("[hx-sse\\:connect]");
let live = false;
let over = false;

const connect = () => {
  if (!live && !over) htmx.ajax("GET", watched.getAttribute("hx-sse:connect"), { source: watched });
};
const signedOut = (status) => {
  if (status === 401) location.reload();
};

if (watched) {
  watched.addEventListener("done", () => { over = true; });
  watched.addEventListener("htmx:sse:after:connection", () => { live = true; });
  watched.addEventListener("htmx:sse:close", () => { live = false; });
  watched.addEventListener("htmx:sse:error", (event) => signedOut(event.detail.status));
  watched.addEventListener("htmx:response:error", (event) => signedOut(event.detail.ctx.response.status));
  watched.addEventListener("htmx:finally:request", () => {
    if (!live && !over) setTimeout(connect, 2000 + 2000 * Math.random());
  });
  if (!window.htmx) setTimeout(() => location.reload(), 5000);
}
