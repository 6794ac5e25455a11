// Plays the person at the browser: follows redirects, keeps cookies, presses the buttons.

/** The `application/x-www-form-urlencoded` fields of the first form that `wanted` accepts. */
function form(html, wanted) {
  for (const [, attributes, inside] of html.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/g)) {
    const fields = {};
    for (const [tag] of inside.matchAll(/<(?:input|button)[^>]*>/g)) {
      const name = attribute(tag, 'name');
      const submit = attribute(tag, 'type') === 'submit' || tag.startsWith('<button');
      if (name && !submit) fields[name] = attribute(tag, 'value') ?? '';
    }
    const buttons = [...inside.matchAll(/<button[^>]*>/g)].map(([tag]) => tag);
    if (wanted(fields)) return { action: attribute(attributes, 'action'), fields, buttons };
  }
  throw new Error(`no such form in:\n${html.slice(0, 2000)}`);
}

function attribute(tag, name) {
  const found = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
  return found?.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

/** A browser window with its own cookies. */
export class Browser {
  #cookies = new Map();

  async #request(url, init = {}) {
    const jar = this.#cookies.get(new URL(url).host) ?? new Map();
    this.#cookies.set(new URL(url).host, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      ...init,
      headers: { ...init.headers, ...(cookie && { cookie }) },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      if (/max-age=0/i.test(line)) jar.delete(pair.slice(0, at));
      else jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  }

  async #submit(base, { action, fields }, extra = {}) {
    return this.#request(new URL(action ?? base, base).href, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ ...fields, ...extra }).toString(),
    });
  }

  /** Shows the consent page that an authorization URL leads to. */
  async open(authorizationUrl) {
    const page = await this.#request(authorizationUrl);
    return { status: page.status, headers: page.headers, html: await page.text() };
  }

  /** From the authorization URL to the redirect that carries the client's code: consents, then picks `email`. */
  async logIn(authorizationUrl, email) {
    const consentPage = await this.open(authorizationUrl);
    if (consentPage.status !== 200) throw new Error(`consent page: ${consentPage.status} ${consentPage.html}`);
    const consent = form(consentPage.html, () => true);
    const approve = consent.buttons.find((tag) => /approve|allow|continue/i.test(tag));
    const toGoogle = await this.#submit(authorizationUrl, consent, {
      [attribute(approve, 'name')]: attribute(approve, 'value'),
    });
    const googleUrl = toGoogle.headers.get('location');
    if (!googleUrl) throw new Error(`consent was not accepted: ${toGoogle.status} ${await toGoogle.text()}`);
    const chooser = await this.#request(googleUrl);
    const html = await chooser.text();
    const back = await this.#submit(googleUrl, form(html, (fields) => fields.email === email));
    const done = await this.#request(back.headers.get('location'));
    const location = done.headers.get('location');
    return { status: done.status, location: location && new URL(location), html: await done.text() };
  }
}
