// Asks the server, and puts its refusals into words for the person at the page.

const AGAIN = 2; // seconds between tries while the server is gone
export const MOST_CHARACTERS = 100_000; // of a question, as the API has it

/** Why there is no answer. `retryAfter`: seconds until another try may help; null: none will. */
export class Refusal extends Error {
  constructor(message, retryAfter = null) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** The indexes that are served. */
export async function listIndexes(signal) {
  return (await ask("indexes", { signal })).indexes;
}

/** The answer to a search: its question, and hits with the share of each word. */
export function search(request, signal) {
  const headers = { "content-type": "application/json" };
  return ask("search", { method: "POST", headers, body: JSON.stringify({ ...request, words: true }), signal });
}

async function ask(path, options) {
  let response, body;
  try {
    // Addresses are relative, so that the page also works below a path of another server.
    response = await fetch(path, options);
    body = await response.json();
  } catch (error) {
    if (options.signal.aborted) throw error;
    if (response?.ok === false) throw refusal(response, null); // a proxy's page, say
    throw new Refusal("The server does not answer. What you typed is kept, and is asked again by itself.", AGAIN);
  }
  if (!response.ok) throw refusal(response, body);
  return body;
}

function refusal(response, body) {
  const reason = body?.error?.message ?? `status ${response.status}`;
  const seconds = Number.parseFloat(response.headers.get("retry-after")) || AGAIN;
  switch (response.status) {
    case 401:
      return new Refusal("A token is needed. Load the page again, and give the token as the password, with any name.");
    case 429:
      return new Refusal(`The server has too much to do. It is asked again in ${seconds} s.`, seconds);
    case 502:
    case 503:
    case 504:
      return new Refusal(`The server cannot answer now. It is asked again in ${seconds} s.`, seconds);
    default:
      return new Refusal(`The server refused: ${reason}.`);
  }
}
