// What this browser keeps for one user, each thing under a key of its own, so that two tabs never overwrite each other.
// Where storage is switched off or full, put() says so and nothing is kept.

export class Store {
  constructor(kind, user) {
    this.prefix = `whetstone-${kind}-${user}-`;
  }

  put(id, value) {
    try {
      localStorage.setItem(this.prefix + id, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  get(id) {
    try {
      return JSON.parse(localStorage.getItem(this.prefix + id));
    } catch {
      return null;
    }
  }

  drop(id) {
    try {
      localStorage.removeItem(this.prefix + id);
    } catch {
      // Switched off: then there is nothing to drop.
    }
  }

  all() {
    try {
      const ids = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).map((key) => key.slice(this.prefix.length));
      return ids.map((id) => ({ id, ...this.get(id) })).sort((a, b) => a.at - b.at);
    } catch {
      return [];
    }
  }
}

// One setting of this browser, such as the number of columns.
export function remembered(name) {
  try {
    return localStorage.getItem(`whetstone-${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`whetstone-${name}`, value);
  } catch {
    // Not kept then; it holds for this page.
  }
}
