import { nearest } from "../plugins/nearest.ts";
import { type Command, command, type Flag, type Flags, globals, UsageError } from "./_command.ts";
import { commands } from "./_commands.ts";

/** What a shell needs to know: the tables, and the names of plugins and models. */
export interface Vocabulary {
  readonly commands: readonly Command<Flags>[];
  readonly names: Readonly<
    Record<"sampler" | "guidance" | "model" | "spacing", readonly string[]>
  >;
}

/** The shells and what writes their script. */
export const shells: Readonly<Record<string, (vocabulary: Vocabulary) => string>> = {
  bash,
  zsh,
  fish,
};

/** `denoise completions`: a script for a shell. */
export default command({
  name: "completions",
  summary: "prints a completion script for bash, zsh or fish",
  usage: "SHELL",
  examples: [
    ["completions bash > ~/.local/share/bash-completion/completions/denoise", "for bash"],
    ["completions zsh > ~/.zfunc/_denoise", "for zsh, with ~/.zfunc in its fpath"],
    ["completions fish > ~/.config/fish/completions/denoise.fish", "for fish"],
  ],
  flags: {},
  async run({ positional: [shell = ""], io }) {
    const write = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
    if (write === undefined) {
      const near = nearest(shell, Object.keys(shells));
      throw new UsageError(
        `Cannot complete for "${shell}": ${
          near ? `did you mean ${near}?` : "say bash, zsh or fish"
        }`,
      );
    }
    await io.write(write(await vocabulary()).trimEnd());
    return 0;
  },
});

/** The words of this program. */
export async function vocabulary(): Promise<Vocabulary> {
  const [tables, { samplers }, { guidances }, { PATH_RULES }, { bundledModels }] = await Promise
    .all([
      Promise.all(Object.values(commands).map(async ({ load }) => (await load()).default)),
      import("../samplers/mod.ts"),
      import("../guidance/mod.ts"),
      import("../schedules/mod.ts"),
      import("../pipeline/model.ts"),
    ]);
  return {
    commands: tables,
    names: {
      sampler: Object.keys(samplers),
      guidance: Object.keys(guidances),
      model: bundledModels(),
      spacing: Object.keys(PATH_RULES),
    },
  };
}

/** The words that may follow a flag, and whether a path may. */
function values(flag: Flag, { names }: Vocabulary): { words: readonly string[]; files: boolean } {
  if (flag.type === "string" && flag.choices) return { words: flag.choices, files: false };
  switch (flag.complete) {
    case "sampler":
    case "guidance":
    case "model":
      return { words: names[flag.complete], files: true };
    case "spacing":
      return { words: names.spacing, files: false };
    case "file":
    case "folder":
      return { words: [], files: true };
    default:
      return { words: [], files: false };
  }
}

function flagsOf(command: Command<Flags>): [string, Flag][] {
  return Object.entries({ ...command.flags, ...globals });
}

/** True where a command's first argument is a model. */
function takesModel(command: Command<Flags>): boolean {
  return /\bMODEL\b/.test(command.usage);
}

/** The words that a command's first argument may be. */
function positionals(command: Command<Flags>, { names }: Vocabulary): readonly string[] {
  if (command.name === "completions") return Object.keys(shells);
  return takesModel(command) ? names.model : [];
}

function bash(vocabulary: Vocabulary): string {
  const cases = vocabulary.commands.map((command) => {
    const words = flagsOf(command).flatMap(([name, { alias }]) =>
      alias ? [`--${name}`, `-${alias}`] : [`--${name}`]
    );
    const after = flagsOf(command).flatMap(([name, flag]) => {
      if (flag.type === "flag") return [];
      const { words, files } = values(flag, vocabulary);
      const pattern = flag.alias ? `--${name}|-${flag.alias}` : `--${name}`;
      const make = [
        words.length > 0
          ? `COMPREPLY=($(compgen -W '${words.join(" ")}' -- "$cur"))`
          : "COMPREPLY=()",
        ...files ? ['COMPREPLY+=($(compgen -f -- "$cur"))'] : [],
      ].join("; ");
      return [`        ${pattern}) ${make}; return ;;`];
    });
    return [
      `    ${command.name})`,
      '      case "$prev" in',
      ...after,
      "      esac",
      `      flags='${words.join(" ")}'; words='${positionals(command, vocabulary).join(" ")}' ;;`,
    ].join("\n");
  });
  return `# bash completion for denoise
_denoise() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} flags= words=
  compopt -o filenames 2>/dev/null
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${
    vocabulary.commands.map(({ name }) => name).join(" ")
  } --help --version' -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur")) ;;
  esac
}
complete -F _denoise denoise
`;
}

function zsh(vocabulary: Vocabulary): string {
  const quote = (text: string) => text.replaceAll("'", "'\\''").replace(/[[\]:]/g, "\\$&");
  // Words and files are offered by a function, because colons end an action of _arguments.
  const kinds = Object.entries(vocabulary.names).map(([kind, names]) =>
    `_denoise_${kind}() { _alternative 'names:${kind}:(${names.join(" ")})' 'files:file:_files' }`
  );
  const cases = vocabulary.commands.map((command) => {
    const specs = flagsOf(command).map(([name, flag]) => {
      const { words, files } = values(flag, vocabulary);
      const list = words.length > 0 ? `(${words.join(" ")})` : " ";
      const action = !files ? list : words.length > 0 ? `_denoise_${flag.complete}` : "_files";
      const takes = flag.type !== "flag";
      const long = takes ? `--${name}=` : `--${name}`;
      const typed = flag.alias ? `'{-${flag.alias},${long}}'` : long;
      const star = flag.type === "list" ? "*" : "";
      return `'${star}${typed}[${quote(flag.help)}]${takes ? `:value:${action}` : ""}'`;
    });
    const shown = command.name === "completions" ? `(${Object.keys(shells).join(" ")})` : "_files";
    const action = takesModel(command) ? "_denoise_model" : shown;
    const lines = [...specs, `'*:argument:${action}'`].map((spec) => `        ${spec}`);
    return `    ${command.name})\n      _arguments -S \\\n${lines.join(" \\\n")} ;;`;
  });
  const summaries = vocabulary.commands.map(({ name, summary }) =>
    `    '${name}:${quote(summary)}'`
  );
  return `#compdef denoise
# zsh completion for denoise
${kinds.join("\n")}
_denoise() {
  local -a commands=(
${summaries.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
if [ "$funcstack[1]" = _denoise ]; then _denoise "$@"; else compdef _denoise denoise; fi
`;
}

function fish(vocabulary: Vocabulary): string {
  const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = vocabulary.commands.flatMap((command) => {
    const at = `complete -c denoise -n '__fish_seen_subcommand_from ${command.name}'`;
    const flags = flagsOf(command).map(([name, flag]) => {
      const { words, files } = values(flag, vocabulary);
      return [
        at,
        `-l ${name}`,
        flag.alias ? `-s ${flag.alias}` : "",
        flag.type === "flag" ? "" : files ? "-r -F" : "-x",
        words.length > 0 ? `-a ${quote(words.join(" "))}` : "",
        `-d ${quote(flag.help)}`,
      ].filter((part) => part !== "").join(" ");
    });
    const words = positionals(command, vocabulary);
    return [
      `complete -c denoise -n __fish_use_subcommand -f -a ${command.name} -d ${
        quote(command.summary)
      }`,
      ...words.length > 0
        ? [`${at} ${takesModel(command) ? "" : "-f "}-a ${quote(words.join(" "))}`]
        : [],
      ...flags,
    ];
  });
  return `# fish completion for denoise\n${lines.join("\n")}\n`;
}
