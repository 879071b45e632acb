// What a person has chosen for this browser: language, theme, vhost. Nothing secret.

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`landfall.${name}`);
  } catch {
    return null; // storage may be switched off
  }
}

export function remember(name: string, value: string | null) {
  try {
    if (value === null) localStorage.removeItem(`landfall.${name}`);
    else localStorage.setItem(`landfall.${name}`, value);
  } catch {
    // Then it holds until the page is closed.
  }
}
