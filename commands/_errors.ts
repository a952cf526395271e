/** One sentence about an error, for a person. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof Deno.errors.NotCapable) {
    return `${error.message.replace(/, run again.*/s, "")}; deno task gives it`;
  }
  const [, reason, action, path] =
    error.message.match(/^(.*) \(os error \d+\)(?:: (\w+) '(.*)')?$/s) ?? [];
  if (reason === undefined) return error.message || error.name;
  const why = reason.charAt(0).toLowerCase() + reason.slice(1);
  return path === undefined ? `Cannot do it: ${why}` : `Cannot ${verb(action)} "${path}": ${why}`;
}

function verb(action = "open"): string {
  const words: Record<string, string> = {
    readfile: "read",
    writefile: "write",
    stat: "find",
    lstat: "find",
    mkdir: "make the folder",
    readdir: "list",
    rename: "rename",
    remove: "remove",
    copy: "copy",
    truncate: "write",
  };
  return words[action] ?? "open";
}

/** A text without the codes that would steer a terminal: files of strangers may hold them. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd");
}
