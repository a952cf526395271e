/**
 * The pipe between the bench and its helpers: a JSON object a line.
 *
 * @module
 */

/** A request: an operation and what it takes. */
export type Request = { readonly op: string } & Readonly<Record<string, unknown>>;

/** The JSON values of a stream. */
export async function* jsonLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

/** A process that answers requests one after another. */
export interface Helper extends AsyncDisposable {
  ask<T>(request: Request): Promise<T>;
}

/** Starts a helper. */
export function startHelper(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Helper {
  const process = new Deno.Command(program, {
    args: [...args],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = process.stdin.getWriter();
  const replies = jsonLines(process.stdout);
  return {
    async ask<T>(request: Request): Promise<T> {
      await writer.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
      const { value, done } = await replies.next();
      if (done) throw new Error(`${program} ${args[0]} ended at "${request.op}"`);
      const reply = value as T & { readonly error?: string };
      if (reply.error !== undefined) throw new Error(`${args.join(" ")}: ${reply.error}`);
      return reply;
    },
    async [Symbol.asyncDispose]() {
      await writer.close().catch(() => {});
      await process.status;
    },
  };
}
