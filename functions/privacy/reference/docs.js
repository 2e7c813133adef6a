// Starts Swagger UI over this API's own description, which says where it was loaded from: so requests go there alone.
const main = document.getElementById("reference");
const root = new URL(`${document.documentElement.dataset.root}/`, location.origin);

async function start() {
  const answer = await fetch(new URL("openapi.json", root));
  if (!answer.ok) throw new Error(`${answer.status}`);
  const spec = await answer.json();
  spec.servers = [{ url: root.href.replace(/\/$/, "") }];
  main.replaceChildren();
  SwaggerUIBundle({
    spec,
    domNode: main,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    docExpansion: "list",
    persistAuthorization: false, // a key is never written to the browser's storage
    queryConfigEnabled: false, // no address in a link decides what is loaded here
    validatorUrl: null, // else the description would go to a validator of somebody else's
  });
}

// Swagger UI takes the fragment of the address for the name of an operation, so the way past the header is gone by hand.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

start().catch(() => {
  main.replaceChildren();
  const told = document.createElement("p");
  told.setAttribute("role", "alert");
  told.textContent = "The description could not be loaded. Try again in a moment.";
  main.append(told);
});
