import { type Command, type Flag, type Flags, globals } from "./_command.ts";
import { metavar } from "./_parse.ts";
import { style } from "./_style.ts";

const width = 100;

/** One row: what is typed and what it means. */
export type Row = readonly [string, string];

/** The help of a command, made from the table that parses it. */
export function help(command: Command<Flags>, details = "", colors = false): string {
  const { bold, dim } = style(colors);
  const rows = (flags: Flags): [string, Row[]][] => {
    const groups = new Map<string, Row[]>();
    for (const [name, flag] of Object.entries(flags)) {
      const group = flag.group ?? "Options";
      groups.set(group, [...groups.get(group) ?? [], flagRow(name, flag)]);
    }
    return [...groups];
  };
  const sections = [
    ...rows(command.flags),
    ["Global options", rows(globals)[0]?.[1] ?? []] as const,
  ];
  const pad = indent(sections.flatMap(([, list]) => list));
  return [
    `${bold("Usage:")} denoise ${
      [command.name, command.usage, "[options]"].filter(Boolean).join(" ")
    }`,
    wrap(command.description ?? sentence(command.summary), width).join("\n"),
    ...sections.map(([title, list]) => `${bold(`${title}:`)}\n${table(list, pad)}`),
    details.trimEnd(),
    command.examples.length === 0
      ? ""
      : `${bold("Examples:")}\n${
        command.examples.map(([typed, what]) => `  denoise ${typed}\n      ${dim(what)}`).join("\n")
      }`,
  ].filter((part) => part !== "").join("\n\n") + "\n";
}

/** Rows in two columns, the second one wrapped. */
export function table(rows: readonly Row[], pad = indent(rows)): string {
  return rows.flatMap(([name, text]) => {
    const [first = "", ...more] = wrap(text, width - pad);
    const head = `  ${name}`;
    const start = head.length + 2 > pad
      ? [head, " ".repeat(pad) + first]
      : [head.padEnd(pad) + first];
    return [...start, ...more.map((line) => " ".repeat(pad) + line)].map((line) => line.trimEnd());
  }).join("\n");
}

/** A text in lines of at most so many characters. */
export function wrap(text: string, columns: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    const lines = [""];
    for (const word of paragraph.split(" ")) {
      const line = lines.at(-1) ?? "";
      if (line === "") lines[lines.length - 1] = word;
      else if (line.length + 1 + word.length <= columns) {
        lines[lines.length - 1] = `${line} ${word}`;
      } else lines.push(word);
    }
    return lines;
  });
}

function flagRow(name: string, flag: Flag): Row {
  const value = metavar(flag);
  const letter = flag.alias ? `-${flag.alias}, ` : "    ";
  const on = flag.type === "flag" && flag.default === true;
  return [`${letter}--${on ? "[no-]" : ""}${name}${value && ` ${value}`}`, flag.help + notes(flag)];
}

function notes(flag: Flag): string {
  const found: string[] = [];
  if (flag.type === "number" || flag.type === "integer") {
    const { min, max } = flag;
    if (min !== undefined && max !== undefined) found.push(`${min} to ${max}`);
    else if (min !== undefined && min !== 0) found.push(`at least ${min}`);
    else if (max !== undefined) found.push(`at most ${max}`);
  }
  if (flag.type === "string" && flag.choices && flag.value !== undefined) {
    found.push(flag.choices.join(", "));
  }
  if (flag.type === "list") found.push("repeatable");
  const preset = flag.type === "flag" ? (flag.default ? "on" : "") : `${flag.default ?? ""}`;
  if (preset !== "") found.push(`default: ${preset}`);
  return found.length === 0 ? "" : ` (${found.join("; ")})`;
}

function indent(rows: readonly Row[]): number {
  const longest = Math.max(0, ...rows.map(([name]) => name.length).filter((it) => it <= 28));
  return longest + 4;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + ".";
}
