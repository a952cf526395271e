import { assert, assertArrayIncludes, assertEquals, assertStringIncludes } from "@std/assert";
import { shells, vocabulary } from "../../commands/completions.ts";
import { run } from "./_run.ts";

const words = await vocabulary();

for (const [shell, write] of Object.entries(shells)) {
  Deno.test(`the script for ${shell} names every command and flag`, () => {
    const script = write(words);
    for (const { name, flags } of words.commands) {
      assertStringIncludes(script, name);
      for (const flag of Object.keys(flags)) assertStringIncludes(script, flag);
    }
  });

  Deno.test(`the script for ${shell} is one that it reads`, async () => {
    const { code, stdout } = await run(["completions", shell]);
    assertEquals([code, stdout], [0, write(words)]);
    try {
      const child = new Deno.Command(shell, { args: ["-n"], stdin: "piped", stderr: "piped" })
        .spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(stdout));
      await writer.close();
      const { stderr } = await child.output();
      assertEquals(new TextDecoder().decode(stderr), "");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // no such shell here
    }
  });
}

/** What bash offers for a line that ends at its last word. */
async function complete(...line: string[]): Promise<string[]> {
  const script = `${shells.bash?.(words)}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _denoise; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await new Deno.Command("bash", { args: ["-c", script, "-", ...line] })
    .output();
  return new TextDecoder().decode(stdout).trim().split("\n");
}

Deno.test({
  name: "bash completes commands, flags and shells",
  ignore: Deno.build.os === "windows",
  async fn() {
    assertEquals(await complete("denoise", "comp"), ["completions"]);
    assertArrayIncludes(await complete("denoise", "list", "--"), ["--json", "--quiet", "--help"]);
    assertEquals(await complete("denoise", "completions", "z"), ["zsh"]);
    assert((await complete("denoise", "")).length >= words.commands.length);
  },
});
