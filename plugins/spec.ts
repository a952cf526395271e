/** A plugin as it is asked for: a name, path or URL and its options as they were typed. */
export interface Spec {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
}

/**
 * Reads `ddim,eta=0.5`, `./mine.ts,strength=2` or `https://host/x.ts,fast`. An option without a
 * value is `"true"`. A comma in a path belongs to it where what follows cannot be an option.
 *
 * @throws {SyntaxError} If the name is missing or an option is empty or given twice.
 */
export function parseSpec(text: string): Spec {
  const pieces = text.split(",");
  let start = pieces.length;
  while (start > 1 && /^\s*([A-Za-z][\w-]*\s*(=.*)?)?$/s.test(pieces[start - 1] ?? "")) start--;
  const name = pieces.slice(0, start).join(",").trim();
  const fail = (reason: string) => new SyntaxError(`Cannot read plugin "${text}": ${reason}`);
  if (name === "") throw fail("its name is missing");
  if (/^[A-Za-z][\w-]*=/.test(name)) throw fail("its name comes first, as in ddim,eta=0.5");
  const options = new Map<string, string>();
  for (const piece of pieces.slice(start)) {
    const [, key = "", value] = piece.trim().match(/^([^=]*?)\s*(?:=\s*(.*))?$/s) ?? [];
    if (key === "") throw fail("an option is missing after a comma");
    if (options.has(key)) throw fail(`${key} is given twice`);
    options.set(key, value ?? "true");
  }
  return { name, options: Object.fromEntries(options) };
}

/** The text that `parseSpec` reads back. */
export function formatSpec(
  name: string,
  options: Readonly<Record<string, string | number | boolean>>,
): string {
  return [name, ...Object.entries(options).map(([key, value]) => `${key}=${value}`)].join(",");
}
