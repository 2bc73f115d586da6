import { SluiceError } from '../base/errors.ts';

/** `localhost` and its subdomains (RFC 6761 §6.3), loopback addresses, and what a browser makes of "this machine". */
const LOOPBACK =
  /^(?:(?:.+\.)?localhost\.?|127(?:\.\d{1,3}){3}|\[::1\]|\[::ffff:7f[\da-f]{2}:[\da-f]{1,4}\]|0\.0\.0\.0|\[::\])$/;

/**
 * Guards a control plane that asks for no key against web pages: by DNS rebinding (CVE-2024-28224) or by a form a page
 * of anybody's can reach a loopback port, but it can't hide the name that it was called under, nor its origin.
 * @param allowedHosts further names, lower case, without ports
 * @returns a check that throws SluiceError `forbidden_host`
 */
export function createHostCheck(
  allowedHosts: readonly string[],
): (host: string | undefined, origin: string | undefined) => void {
  const allowed = new Set(allowedHosts);
  const isKnown = (authority: string): boolean => {
    const name = nameFrom(authority);
    return name !== null && (LOOPBACK.test(name) || allowed.has(name));
  };
  return (host, origin) => {
    if (host !== undefined && !isKnown(host)) throw refusal('Host', host);
    if (origin !== undefined && !isKnown(origin.replace(/^[a-z][a-z\d+.-]*:\/\//i, ''))) {
      throw refusal('Origin', origin);
    }
  };
}

/** The host of `host[:port]`, lower case and normalized as browsers do; null when it is none. */
function nameFrom(authority: string): string | null {
  if (!/^[^\s/?#@\\]+$/.test(authority)) return null;
  const url = `http://${authority}`;
  return URL.canParse(url) ? new URL(url).hostname : null;
}

function refusal(header: string, value: string): SluiceError {
  return new SluiceError(
    'forbidden_host',
    `${header} ${JSON.stringify(value)} is not allowed: without a master key the control plane answers to localhost and loopback addresses. Add the name to general_settings.allowed_hosts, or set a master key.`,
    { param: header.toLowerCase() },
  );
}
